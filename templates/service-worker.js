"use strict";

const why = "Doorward: this application shares its host with the sign-in pages, where no service worker "
  + "may be installed. The administrator can give the sign-in pages their own host (portal).";

if (!self.registration.active) throw new Error(why);

console.error(why);
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", () => self.registration.unregister());
