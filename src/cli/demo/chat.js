// Without this the form is sent and the page comes back; with it, lines come and go by themselves.
"use strict";

const [said, say, state, ended] =
  ["said", "say", "state", "ended"].map((id) => document.getElementById(id));
const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/chat/ws");

socket.addEventListener("open", () => {
  // What was said so far comes once more, in order with all that follows.
  said.replaceChildren();
  state.textContent = "The WebSocket is open.";
});

socket.addEventListener("message", (message) => {
  const { by, text } = JSON.parse(message.data);
  const line = document.createElement("li");
  const name = document.createElement("b");
  name.textContent = `${by}:`;
  line.append(name, ` ${text}`);
  said.append(line);
  while (said.children.length > 20) said.firstElementChild.remove();
});

socket.addEventListener("close", () => {
  state.textContent = "The WebSocket has ended.";
  ended.hidden = false;
});

say.addEventListener("submit", (event) => {
  // With no connection, the form is sent: whoever must sign in first is told so.
  if (socket.readyState !== WebSocket.OPEN) return;
  event.preventDefault();
  socket.send(say.elements.text.value);
  say.elements.text.value = "";
});
