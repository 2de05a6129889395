// The grid of cards. Only cards near the window exist, so any number of rows is fast.

const sheet = document.getElementById("sheet");
const cards = new Map(); // by row
let shown = [];
let columns = 1;
let pitch = 1; // pixels from one line of cards to the next line

function show(chosen) {
  shown = chosen;
  if (shown.length) measure();
  sheet.style.height = `${Math.ceil(shown.length / columns) * pitch}px`;
  draw();
}

function measure() {
  if (!cards.size) put(shown[0], 0, 0);
  const style = getComputedStyle(sheet);
  columns = style.gridTemplateColumns.split(" ").length;
  pitch = sheet.firstElementChild.getBoundingClientRect().height + parseFloat(style.rowGap);
}

function draw() {
  const above = -sheet.getBoundingClientRect().top - innerHeight;
  const firstLine = Math.max(0, Math.floor(above / pitch));
  const lastLine = Math.max(0, Math.ceil((above + 3 * innerHeight) / pitch));
  const first = firstLine * columns;
  const near = shown.slice(first, lastLine * columns);
  dropAllBut(new Set(near));
  near.forEach((row, place) => put(row, place, first + place));
  sheet.style.paddingBlockStart = `${firstLine * pitch}px`;
}

function dropAllBut(kept) {
  for (const [row, card] of cards) {
    if (kept.has(row)) continue;
    card.querySelector("img").removeAttribute("src"); // cancels a request that is under way
    card.remove();
    cards.delete(row);
  }
}

function put(row, place, position) {
  const card = cards.get(row) ?? makeCard(row);
  cards.set(row, card);
  card.setAttribute("aria-posinset", position + 1);
  card.setAttribute("aria-setsize", shown.length);
  if (sheet.children[place] !== card) sheet.insertBefore(card, sheet.children[place] ?? null);
}
