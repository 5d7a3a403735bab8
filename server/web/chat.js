// The lobby: the phoenix client on one side, the page on the other.

import { Presence, Socket } from "/phoenix.mjs";

const keptMessages = 500; // older ones leave the page
const find = (id) => document.getElementById(id);
const log = find("log");

// --- Who am I

const adjectives = ["Drowsy", "Dozing", "Snug", "Curled", "Dreamy", "Mellow", "Napping", "Quiet", "Cosy", "Yawning"];
const nouns = ["Hazelnut", "Acorn", "Bramble", "Clover", "Fern", "Moss", "Thistle", "Walnut", "Willow", "Whisker"];
const pick = (words) => words[Math.floor(Math.random() * words.length)];

// A browser may refuse storage; the name then lasts as long as the page.
const storage = {
  get name() {
    try {
      return localStorage.getItem("dormouse:name");
    } catch {
      return null;
    }
  },
  set name(value) {
    try {
      localStorage.setItem("dormouse:name", value);
    } catch {}
  },
};

let me;

function rename(wanted) {
  me = wanted?.trim() || `${pick(adjectives)} ${pick(nouns)}`;
  storage.name = me;
  find("name").value = me;
}

rename(storage.name);
find("name").addEventListener("change", (event) => {
  const was = me;
  rename(event.target.value);
  if (lobby.state === "joined") lobby.push("rename", { user: me, was });
});

// --- The list of messages

function element(tag, text, attributes = {}) {
  return Object.assign(document.createElement(tag), { textContent: text, ...attributes });
}

const hueOf = (name) => [...name].reduce((hue, letter) => (hue * 31 + letter.codePointAt(0)) % 360, 7);

function append(item) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  log.append(item);
  while (log.childElementCount > keptMessages) log.firstElementChild.remove();
  if (atEnd || item.classList.contains("mine")) scrollToEnd();
  else find("latest").hidden = false;
}

function scrollToEnd() {
  log.scrollTop = log.scrollHeight;
}

log.addEventListener("scroll", () => {
  if (log.scrollHeight - log.scrollTop - log.clientHeight < 80) find("latest").hidden = true;
});
find("latest").addEventListener("click", scrollToEnd);

function showMessage({ user, body }) {
  const now = new Date();
  const item = element("li", "", { className: user === me ? "mine" : "" });
  const name = element("b", user);
  name.style.setProperty("--hue", hueOf(String(user)));
  const clock = now.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  item.append(name, element("time", clock, { dateTime: now.toISOString() }), element("p", body));
  append(item);
}

const note = (text) => append(element("li", text, { className: "note" }));

// --- What the connection does

function status(state, text) {
  const shown = find("status");
  shown.dataset.state = state;
  if (shown.textContent !== text) shown.textContent = text;
}

function problem(text) {
  find("problem").textContent = text;
  find("problem").hidden = !text;
}

const closings = {
  1001: "The server asked this page to connect again",
  1009: "The server found a message too large",
  1012: "The server is restarting",
  1013: "The server gave up on this page, which read too slowly",
};

let lost = "";
let nextTryMs = 0;
let joinedBefore = false;

function showReconnecting() {
  const when = nextTryMs < 1000 ? "trying again" : `next try in ${Math.round(nextTryMs / 1000)} s`;
  status("reconnecting", `${lost || "The server cannot be reached"}; ${when}.`);
}

const socket = new Socket("/socket", {
  // The client's own steps, spread by chance: many pages that lose one server must not all come back at once.
  reconnectAfterMs(tries) {
    const step = [10, 50, 100, 150, 200, 250, 500, 1000, 2000][tries - 1] ?? 5000;
    nextTryMs = step * (0.5 + Math.random());
    return nextTryMs;
  },
});

socket.onOpen(() => {
  lost = "";
  status("connecting", "Connected, entering the lobby");
});

socket.onClose(({ code }) => {
  if (joinedBefore) lost ||= closings[code] ?? `The connection was lost (code ${code})`;
  showReconnecting();
});

const lobby = socket.channel("rooms:lobby", () => ({ user: me }));

lobby.on("new_msg", showMessage);

lobby.onError(() => {
  if (socket.isConnected()) status("reconnecting", "The lobby ended on the server; joining it again.");
});

lobby
  .join()
  .receive("ok", () => {
    status("joined", "In the lobby");
    problem("");
    note(joinedBefore ? "You are back. What was said meanwhile is not shown." : "You joined the lobby.");
    joinedBefore = true;
  })
  .receive("error", ({ reason }) => status("refused", `The lobby refused this page: ${reason}. Trying again.`))
  .receive("timeout", () => status("reconnecting", "The lobby does not answer; trying again."));

status("connecting", "Connecting");
socket.connect();

// --- Who is here

const shownPeople = 12; // the others are counted
const presence = new Presence(lobby);

presence.onSync(() => {
  const names = presence.list((name) => name).sort((a, b) => a.localeCompare(b));
  const people = find("people");
  people.replaceChildren(...names.slice(0, shownPeople).map((name) => element("li", name)));
  if (names.length > shownPeople) people.append(element("li", `and ${names.length - shownPeople} more`, { className: "more" }));
});

// --- Sending

function send(body) {
  lobby
    .push("new_msg", { user: me, body })
    .receive("ok", () => problem(""))
    .receive("error", ({ reason }) => giveBack(body, `Not sent: ${reason ?? "the server refused it"}.`))
    .receive("timeout", () => giveBack(body, "The server did not confirm your message; it may not have arrived."));
}

function giveBack(body, why) {
  problem(why);
  find("body").value ||= body;
}

find("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = find("body");
  const body = field.value.trim();
  if (!body) return;
  if (lobby.state !== "joined") {
    problem("Not connected at the moment. Your message stays here; send it once you are back in the lobby.");
    return;
  }
  field.value = "";
  send(body);
});
