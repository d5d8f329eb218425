// Everything here works without it; this saves a few movements of the hand.
"use strict";

const all = (selector) => document.querySelectorAll(selector);

// Back may show a page from memory, as it was before somebody signed out: fetch it again. A reload would
// send the form again if the page answered one; this is always a GET.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  document.documentElement.hidden = true;
  location.replace(location.pathname + location.search);
});

// Buttons that copy what stands in another element.
for (const button of all("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    const lines = document.getElementById(button.dataset.copy).querySelectorAll("li");
    const text = lines.length
      ? Array.from(lines, (line) => line.textContent).join("\n")
      : document.getElementById(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Please copy by hand";
    }
    setTimeout(() => { button.textContent = label; }, 3000);
  });
}

// Where somebody was going may have a fragment, which no server is told. Browsers keep it over forms and
// redirects, and lose it at links.
const onward = document.querySelector("[name=return_to]")?.value
  ?? new URLSearchParams(location.search).get("return_to");
for (const link of all("main a[href]")) {
  const href = link.getAttribute("href");
  const leads = href === onward || href.includes("return_to=") || link.closest(".way");
  if (location.hash && !link.hash && leads) link.hash = location.hash;
}

// A new password can be looked at while it is typed; it is sent as a password all the same.
for (const button of all("[data-show]")) {
  const field = document.getElementById(button.dataset.show);
  button.hidden = false;
  const show = (shown) => {
    field.type = shown ? "text" : "password";
    button.textContent = shown ? "Hide the password" : "Show the password";
  };
  button.addEventListener("click", () => show(field.type === "password"));
  // Browsers remember what was sent as text.
  field.form.addEventListener("submit", () => show(false));
}

for (const button of all("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// A code is sent when its last digit is there: once, so that whoever comes back can correct it.
for (const field of all("[data-digits]")) {
  const form = field.form;
  let sent = false;
  for (const note of all("[data-sends-itself]")) {
    note.hidden = false;
    field.setAttribute("aria-describedby", `${field.getAttribute("aria-describedby") ?? ""} ${note.id}`);
  }
  form.addEventListener("submit", () => { sent = true; });
  field.addEventListener("input", () => {
    const digits = field.value.replace(/\s/g, "");
    const whole = digits.length === Number(field.dataset.digits) && !/\D/.test(digits);
    if (whole && !sent && !form.querySelector("button:disabled")) form.requestSubmit();
  });
}

// Phones can fill in the code of a text message that was sent for this host (WebOTP). Its last digit sends
// it, where the page says so.
const texted = document.querySelector("[data-texted]");
if (texted && "OTPCredential" in window) {
  const waiting = new AbortController();
  for (const form of document.forms) form.addEventListener("submit", () => waiting.abort());
  navigator.credentials.get({ otp: { transport: ["sms"] }, signal: waiting.signal }).then((otp) => {
    if (!otp || texted.value) return;
    texted.value = otp.code;
    texted.dispatchEvent(new Event("input"));
  }, () => {});
}

// Another code can be sent once the last is a minute old; the button rests until then.
for (const button of all("[data-again]")) {
  const end = Date.now() + button.dataset.again * 1000;
  const note = button.form.querySelector("[data-again-note]");
  button.disabled = true;
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    if (left > 0) {
      note.querySelector("[role=timer]").textContent = `${left} seconds`;
      setTimeout(tick, 250);
    } else {
      note.hidden = true;
      button.disabled = false;
    }
  };
  tick();
}

// A wait is counted down, and the form rests until it is over; not where something else is read in it.
for (const wait of all("[data-wait]")) {
  const end = Date.now() + wait.dataset.wait * 1000;
  const timer = wait.querySelector("[role=timer]");
  const buttons = all("form > button[type=submit]:not([data-stays])");
  for (const button of buttons) button.disabled = true;
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    if (left > 0) {
      const minutes = Math.floor(left / 60);
      const seconds = String(left % 60).padStart(2, "0");
      timer.textContent = minutes ? `${minutes}:${seconds} minutes` : `${left} seconds`;
      setTimeout(tick, 250);
    } else {
      wait.textContent = "You can try again now.";
      for (const button of buttons) button.disabled = false;
    }
  };
  tick();
}
