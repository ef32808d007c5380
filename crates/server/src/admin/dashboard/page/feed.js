// The connection to the service: events, and what the page says while there are none.

import { setText, byId } from "./dom.js";
import { timeOfDay } from "./format.js";

/** After so long without an event, the connection counts as lost. */
const SILENCE = 5_000;
/** How long to wait before asking again, if the service has refused. */
const PAUSE = 5_000;

/** Calls `handlers.history` and `handlers.now` with what the service tells, as long as it does. */
export function listen(handlers) {
  let source;
  let last;
  let silence;
  let pause;

  const say = (state, text) => {
    byId("connection").className = `pill ${state}`;
    setText("connection", text);
    document.body.classList.toggle("stale", state === "lost");
  };

  const lost = (why) => {
    say("lost", last ? `${why} since ${timeOfDay(last)}. Trying again` : `${why}. Trying again`);
  };

  const heard = () => {
    last = Date.now();
    clearTimeout(silence);
    silence = setTimeout(() => lost("No numbers"), SILENCE);
    say("live", "Live");
  };

  const open = () => {
    close();
    source = new EventSource("dashboard/events");
    for (const [kind, handle] of Object.entries(handlers)) {
      source.addEventListener(kind, (event) => {
        heard();
        handle(JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => {
      clearTimeout(silence);
      // A connection that broke is tried again by the browser; one that was refused is not.
      const isRefused = source.readyState === EventSource.CLOSED;
      lost(isRefused ? "Refused by the service" : "Connection lost");
      if (isRefused) pause = setTimeout(open, PAUSE);
    });
  };

  const close = () => {
    clearTimeout(silence);
    clearTimeout(pause);
    source?.close();
  };

  // Nobody reads a page that is hidden, and its place is for others.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return open();
    close();
    say("waiting", "Paused");
  });
  open();
}
