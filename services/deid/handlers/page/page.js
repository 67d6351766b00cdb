"use strict";

// The token stays in this tab's memory of the session; it is sent with each request and stored nowhere else.
const TOKEN = "causeway-token";
const API = "/api/quarantine";
const PAGE = 100;

const find = (id) => document.getElementById(id);
let shown = null;
let listed = 0;
let asked = 0;

class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function request(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...(options.headers || {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
  if (answer.ok) return answer;
  let told = `HTTP ${answer.status}`;
  try {
    const body = await answer.json();
    told = body.error || body.reason || told;
  } catch { /* no JSON: the status has to do */ }
  throw new Refused(answer.status, told);
}

function say(text, isError = false) {
  find("message").textContent = text;
  find("message").className = isError ? "error" : "";
}

function only(name) {
  for (const each of ["door", "list", "entry"]) find(each).hidden = each !== name;
  find("leave").hidden = !sessionStorage.getItem(TOKEN);
}

function line(parent, tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  parent.append(element);
  return element;
}

function failed(error) {
  if (error.status === 401) {
    sessionStorage.removeItem(TOKEN);
    only("door");
    say("Enter the token that you were given for this site.", false);
    find("token").focus();
    return;
  }
  say(error.status ? `Refused: ${error.message}` : "The site does not answer.", true);
}

async function showList(more = false) {
  const state = find("state").value;
  const offset = more ? listed : 0;
  const turn = ++asked;
  const answer = await request(`${API}?state=${encodeURIComponent(state)}&limit=${PAGE}&offset=${offset}`);
  const found = await answer.json();
  if (turn !== asked) return;
  if (!more) find("rows").replaceChildren();
  listed = offset + found.withheld.length;
  for (const one of found.withheld) {
    const row = document.createElement("tr");
    row.className = "link";
    row.tabIndex = 0;
    row.dataset.id = one.id;
    for (const text of [one.id, one.reason, one.project, one.modality || "", one.since, one.state]) line(row, "td", text);
    find("rows").append(row);
  }
  find("total").textContent = `${found.total} in all`;
  find("more").hidden = listed >= found.total;
  only("list");
}

function facts(found) {
  const list = find("facts");
  list.replaceChildren();
  const names = ["state", "reason", "project", "modality", "since", "size", "sop_class_uid", "study_ref", "hindrance"];
  for (const name of names) {
    if (found[name] === null || found[name] === undefined) continue;
    line(list, "dt", name.replaceAll("_", " "));
    line(list, "dd", String(found[name]));
  }
}

function items(section, list, entries) {
  find(section).hidden = entries.length === 0;
  find(list).replaceChildren();
  for (const text of entries) line(find(list), "li", text);
}

function elements(header) {
  const rows = find("elements");
  rows.replaceChildren();
  for (const [tag, element] of Object.entries(header || {})) {
    const row = document.createElement("tr");
    line(row, "td", `(${tag.slice(0, 4)},${tag.slice(4)})`);
    line(row, "td", element.vr || "");
    line(row, "td", element.Value ? JSON.stringify(element.Value) : "");
    rows.append(row);
  }
  find("header").hidden = rows.childElementCount === 0;
}

async function picture(side, id, frame) {
  const image = find(side);
  const none = image.parentElement.querySelector(".none");
  try {
    const answer = await request(`${API}/${encodeURIComponent(id)}/${side}.png?frame=${frame - 1}`);
    const content = await answer.blob();
    if (shown === null || shown.id !== id) return;
    if (image.src) URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(content);
    image.hidden = false;
    none.hidden = true;
  } catch (error) {
    image.hidden = true;
    none.hidden = false;
    if (error.status !== 404) failed(error);
  }
}

async function pictures() {
  const id = shown.id;
  const frame = Math.max(1, Number.parseInt(find("frame").value, 10) || 1);
  await picture("before", id, frame);
  await picture("after", id, frame);
}

function present(found) {
  shown = found;
  find("title").textContent = `Entry ${found.id}`;
  facts(found);
  const told = (one) => `${one.kind} at ${one.place}`;
  items("found", "findings", (found.findings || []).map(told));
  items("left", "leftovers", (found.left || []).map(told));
  items("journal", "decisions", found.decisions.map(
    (one) => `${one.decided} ${one.who}: ${one.action}, ${one.outcome} – ${one.reason}`));
  elements(found.header);
  const waits = found.state === "waiting";
  find("decision").hidden = !waits;
  find("approve").disabled = !found.candidate;
  find("pictures").hidden = find("frames").hidden = !waits;
  only("entry");
}

async function showEntry(id) {
  const turn = ++asked;
  const answer = await request(`${API}/${encodeURIComponent(id)}`);
  const found = await answer.json();
  if (turn !== asked) return;
  find("why").value = "";
  find("frame").value = "1";
  present(found);
  if (found.state === "waiting") await pictures();
}

async function decide(action) {
  const body = { action, reason: find("why").value };
  if (action === "approve") body.candidate = shown.candidate;
  const buttons = find("decision").querySelectorAll("button");
  buttons.forEach((each) => { each.disabled = true; });
  try {
    const answer = await request(`${API}/${encodeURIComponent(shown.id)}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const found = await answer.json();
    say(`${found.id}: ${found.outcome}`);
    present(found);
  } finally {
    buttons.forEach((each) => { each.disabled = false; });
    find("approve").disabled = !shown.candidate;
  }
}

function route() {
  const id = decodeURIComponent(location.hash.slice(1));
  shown = null;
  (id ? showEntry(id) : showList()).catch(failed);
}

function listen() {
  find("door").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(TOKEN, find("token").value.trim());
    find("token").value = "";
    say("");
    route();
  });
  find("leave").addEventListener("click", () => {
    sessionStorage.removeItem(TOKEN);
    location.hash = "";
    location.reload();
  });
  find("state").addEventListener("change", () => showList().catch(failed));
  find("more").addEventListener("click", () => showList(true).catch(failed));
  find("filter").addEventListener("submit", (event) => event.preventDefault());
  find("back").addEventListener("click", () => { say(""); location.hash = ""; });
  const open = (event) => {
    const row = event.target.closest("tr.link");
    if (row && (event.type === "click" || event.key === "Enter")) { say(""); location.hash = encodeURIComponent(row.dataset.id); }
  };
  find("rows").addEventListener("click", open);
  find("rows").addEventListener("keydown", open);
  find("frame").addEventListener("change", () => pictures().catch(failed));
  find("decision").addEventListener("submit", (event) => {
    event.preventDefault();
    decide(event.submitter ? event.submitter.value : "").catch(failed);
  });
  addEventListener("hashchange", route);
}

listen();
route();
