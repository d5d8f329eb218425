// The page says when it was made; this keeps it right for as long as the stream lasts.
"use strict";

const [now, state, ended] = ["now", "state", "ended"].map((id) => document.getElementById(id));
const ticks = new EventSource("/clock/ticks");

ticks.addEventListener("open", () => { state.textContent = "The event stream is open."; });

ticks.addEventListener("message", (tick) => { now.textContent = tick.data; });

// The browser asks again by itself, unless it was told that it may not.
ticks.addEventListener("error", () => {
  const over = ticks.readyState === EventSource.CLOSED;
  state.textContent = over ? "The event stream has ended." : "The event stream was cut off.";
  ended.hidden = !over;
});
