// Asks a security key by the browser's dialog (WebAuthn §5.1), and puts its answer into the form.
"use strict";

{
  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const listed = (list) => (list ?? []).map((each) => ({ ...each, id: bytes(each.id) }));

  // What a page says as JSON, as the browser wants it, and back.
  const creation = (options) => ({
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: listed(options.excludeCredentials),
  });
  const request = (options) => ({
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: listed(options.allowCredentials),
  });
  const answer = ({ rawId, type, response }, extensions) => JSON.stringify({
    rawId: text(rawId),
    type,
    clientExtensionResults: extensions,
    response: response.attestationObject
      ? {
        clientDataJSON: text(response.clientDataJSON),
        attestationObject: text(response.attestationObject),
        transports: response.getTransports?.() ?? [],
      }
      : {
        clientDataJSON: text(response.clientDataJSON),
        authenticatorData: text(response.authenticatorData),
        signature: text(response.signature),
        userHandle: response.userHandle ? text(response.userHandle) : null,
      },
  });

  const ask = async (part, more = {}) => {
    const options = JSON.parse(part.dataset.options);
    const isNew = part.dataset.securityKey === "create";
    const credential = isNew
      ? await navigator.credentials.create({ publicKey: creation(options), ...more })
      : await navigator.credentials.get({ publicKey: request(options), ...more });
    const { credProps } = credential.getClientExtensionResults();
    return answer(credential, credProps ? { credProps: { rk: credProps.rk } } : {});
  };

  for (const part of document.querySelectorAll("[data-security-key]")) {
    const form = part.closest("form");
    const field = part.querySelector("[name=code]");
    const button = form.querySelector("button[type=submit]");
    const problems = part.querySelector("[data-key-problems]");
    const opened = Date.now();

    const say = (name) => {
      const sentences = [...problems.querySelectorAll("[data-key-error]")];
      const said = sentences.find((each) => each.dataset.keyError === name)
        ?? sentences.find((each) => each.dataset.keyError === "other");
      for (const each of sentences) each.hidden = each !== said;
      for (const each of problems.querySelectorAll("[data-key-error-name]")) each.textContent = name;
      problems.hidden = false;
    };

    // The page, asked for again: after a refused answer its address no longer says where the visitor
    // was going, and a reload would send that answer once more.
    const again = () => {
      const page = new URL(form.action, location.href);
      for (const name of ["return_to", "method", "kind"]) {
        const said = form.querySelector(`input[name=${name}]`);
        if (said?.value) page.searchParams.set(name, said.value);
      }
      location.replace(page);
    };

    const able = Boolean(window.PublicKeyCredential && navigator.credentials && part.dataset.options);
    if (!able) {
      say("unable");
      button.disabled = true;
      continue;
    }
    // Passkeys that the browser offers in the field for the name, until the button is pressed.
    const autofill = new AbortController();
    const offers = async () => {
      if (!await PublicKeyCredential.isConditionalMediationAvailable?.()) return;
      try {
        field.value = await ask(part, { mediation: "conditional", signal: autofill.signal });
      } catch {
        return;
      }
      if (Date.now() - opened > part.dataset.seconds * 1000) again();
      else form.requestSubmit(button);
    };
    if ("byAutofill" in part.dataset) offers();

    form.addEventListener("submit", async (event) => {
      if (field.value) return;
      event.preventDefault();
      if (button.disabled) return;
      // What is asked is worth nothing after a while: ask for something new first.
      if (Date.now() - opened > part.dataset.seconds * 1000) {
        again();
        return;
      }
      problems.hidden = true;
      button.disabled = true;
      autofill.abort();
      try {
        field.value = await ask(part);
      } catch (error) {
        say(error.name);
        return;
      } finally {
        button.disabled = false;
      }
      form.requestSubmit(button);
    });
  }

  // What the browser offers is kept true: it forgets passkeys that were removed here, and shows the
  // present name (WebAuthn §5.1.10).
  for (const part of document.querySelectorAll("[data-known-keys]")) {
    const { rpId, userId, allAcceptedCredentialIds, name, displayName } =
      JSON.parse(part.dataset.knownKeys);
    const Keys = window.PublicKeyCredential;
    const told = [
      Keys?.signalAllAcceptedCredentials?.({ rpId, userId, allAcceptedCredentialIds }),
      Keys?.signalCurrentUserDetails?.({ rpId, userId, name, displayName }),
    ];
    // A browser that cannot do this loses nothing.
    for (const each of told) each?.catch(() => {});
  }

  // Back may show this page with an answer that was given already.
  window.addEventListener("pageshow", () => {
    for (const field of document.querySelectorAll("[data-security-key] [name=code]")) field.value = "";
  });
}
