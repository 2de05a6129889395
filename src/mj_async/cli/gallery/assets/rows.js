// The rows, filtered and sorted. Their texts are not trusted.

function readRows() {
  const block = document.getElementById("rows");
  const read = JSON.parse(block.textContent).map(toRow);
  block.remove(); // it is megabytes, and no longer needed
  return read;
}

function toRow([id, seed, source, status, prompt, image, errorType, errorMessage]) {
  const problem = [errorType, errorMessage].filter(Boolean).join(": ");
  const text = [prompt, seed, id].join("\n").toLowerCase();
  return { id, seed, source, status, prompt, image, problem, text };
}

const FILTERS = {
  all: () => true,
  with: (row) => Boolean(row.seed),
  without: (row) => !row.seed,
};

const ORDERS = {
  file: (rows) => rows,
  seed: (rows) => sorted(rows, (row) => numberKey(row.seed), compareNumbers),
  prompt: (rows) => sorted(rows, (row) => row.prompt ?? "", comparePrompts),
  id: (rows) => sorted(rows, (row) => numberKey(row.id), compareNumbers),
};

const collator = new Intl.Collator(undefined, { numeric: true });

function sorted(rows, key, compare) {
  const keyed = rows.map((row) => [key(row), row]);
  return keyed.sort(([one], [other]) => compare(one, other)).map(([, row]) => row);
}

// Seeds and ids are too large for Number. Texts that are not numbers come after them, null last.
function numberKey(text) {
  if (!text) return [2, ""];
  return /^-?\d{1,40}$/.test(text) ? [0, BigInt(text)] : [1, text];
}

function compareNumbers([rank, value], [otherRank, otherValue]) {
  if (rank !== otherRank) return rank - otherRank;
  return Number(value > otherValue) - Number(value < otherValue);
}

function comparePrompts(one, other) {
  return Number(!one) - Number(!other) || collator.compare(one, other);
}

const rows = readRows();
const ordered = {}; // each order is computed once, so that a keystroke only filters it

function chooseRows({ text, order, filter }) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = FILTERS[filter];
  ordered[order] ??= ORDERS[order](rows);
  return ordered[order].filter(
    (row) => wanted(row) && words.every((word) => row.text.includes(word)),
  );
}
