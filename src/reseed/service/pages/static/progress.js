// Loads the page of something that is not over again, and puts its new state in the old one's place: a submission
// that is at work, a leaderboard that is being made.
// Without this script the page loads itself again every 15 seconds.
"use strict";

const INTERVAL_MS = 4000;

async function update() {
  const shown = document.getElementById("progress");
  if (!shown || shown.dataset.over === "yes") return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.ok && !answer.redirected) {
      const text = await answer.text();
      const found = new DOMParser().parseFromString(text, "text/html").getElementById("progress");
      if (found && found.innerHTML !== shown.innerHTML) {
        if (found.dataset.over === "yes") {
          // what is done has other links, buttons and tables
          location.reload();
          return;
        }
        shown.replaceChildren(...found.childNodes);
      }
    }
  } catch {
    // the line is cut: the next time may do better
  }
  setTimeout(update, document.hidden ? 4 * INTERVAL_MS : INTERVAL_MS);
}

setTimeout(update, INTERVAL_MS);
