// A card, the details of a task, and copying from both. Texts are set as text only, never as HTML.

const MAX_CARD_TEXT = 600; // characters; a card shows four lines
const COPIED_MARK_TIME = 1500; // milliseconds
const template = document.getElementById("card");
const details = document.getElementById("details");
const rowsOf = new WeakMap(); // the row of each card, and of the details
const dead = new Set(); // rows whose image did not load; the page does not load it again

function makeCard(row) {
  const card = template.content.firstElementChild.cloneNode(true);
  fill(card, row, MAX_CARD_TEXT);
  if (!row.seed) showNoSeed(card);
  if (row.image && !dead.has(row)) showPicture(card, row);
  else showNoPicture(card, row);
  return card;
}

function fill(place, row, longest) {
  rowsOf.set(place, row);
  for (const part of place.querySelectorAll("[data-shows]")) {
    const text = row[part.dataset.shows];
    part.textContent = text ? beginning(text, longest) : "";
    part.hidden = !text;
  }
  for (const button of place.querySelectorAll("[data-copies]")) {
    button.hidden = !row[button.dataset.copies];
    name(button, `Copy ${button.dataset.copies}`);
  }
}

function beginning(text, longest) {
  // A cut in a surrogate pair would leave a half, which browsers show as a box.
  return text.length > longest ? text.slice(0, longest).replace(/[\ud800-\udbff]$/, "") : text;
}

function name(button, text) {
  button.title = text;
  button.setAttribute("aria-label", text);
}

function showNoSeed(card) {
  const seed = card.querySelector(".seed");
  card.classList.add("without");
  seed.textContent = "No seed";
  seed.hidden = false;
}

function showPicture(card, row) {
  const picture = card.querySelector(".picture");
  picture.href = row.image;
  picture.setAttribute("aria-label", `Image of task ${row.id}, in a new tab`);
  picture.firstElementChild.src = row.image;
}

function showNoPicture(card, row) {
  const picture = card.querySelector(".picture");
  picture.removeAttribute("href");
  picture.removeAttribute("aria-label");
  picture.firstElementChild.hidden = true;
  picture.lastElementChild.textContent = row.image ? "Image not available" : "No image";
}

function imageFailed(image) {
  const card = image.closest(".card");
  const row = rowsOf.get(card);
  dead.add(row);
  showNoPicture(card, row);
}

function openDetails(card) {
  const row = rowsOf.get(card);
  fill(details, row, Infinity);
  const link = details.querySelector("a");
  if (row.image) link.href = row.image;
  details.showModal();
}

async function copy(button) {
  const place = button.closest(".card, dialog");
  const kind = button.dataset.copies;
  const done = await write(rowsOf.get(place)[kind], button);
  const said = done ? `Copied ${kind}` : `Could not copy ${kind}`;
  const announcement = details.open ? "announcement-details" : "announcement";
  document.getElementById(announcement).textContent = said;
  mark(button, done ? "icon-done" : "icon-close", said);
  setTimeout(() => mark(button, "icon-copy", `Copy ${kind}`), COPIED_MARK_TIME);
}

function mark(button, icon, text) {
  button.querySelector("use").setAttribute("href", `#${icon}`);
  button.classList.toggle("marked", icon !== "icon-copy");
  name(button, text);
}

async function write(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return writeByHand(text, button); // browsers give no clipboard to a page on plain http
  }
}

function writeByHand(text, button) {
  const area = document.createElement("textarea");
  area.className = "unseen";
  area.value = text;
  button.after(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  button.focus();
  return done;
}
