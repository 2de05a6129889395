// The controls, and the handlers of all events.

const search = document.getElementById("search");
const sort = document.getElementById("sort");
const filter = document.getElementById("filter");
const count = document.getElementById("count");
const nothing = document.getElementById("nothing");
const waiting = new Set(); // work for the next frame, because typing and scrolling cause many events

function soon(work) {
  if (!waiting.size) requestAnimationFrame(workOff);
  waiting.add(work);
}

function workOff() {
  const works = [...waiting];
  waiting.clear();
  for (const work of works) work();
}

function list() {
  const chosen = chooseRows({
    text: search.value,
    order: sort.value,
    filter: filter.querySelector(":checked").value,
  });
  show(chosen);
  nothing.hidden = chosen.length > 0;
  const [some, all] = [chosen, rows].map(({ length }) => length.toLocaleString("en"));
  count.textContent = some === all ? `Showing all ${all}` : `Showing ${some} of ${all}`;
}

function listFromTheTop() {
  if (scrollY > 0) scrollTo(0, 0);
  list();
}

function reset() {
  search.value = "";
  filter.querySelector("[value=all]").checked = true;
  list();
  search.focus();
}

function clicked({ target }) {
  const button = target.closest("button");
  if (button?.dataset.copies) copy(button);
  else if (button?.dataset.opens !== undefined) openDetails(button.closest(".card"));
}

search.addEventListener("input", () => soon(listFromTheTop));
sort.addEventListener("change", () => soon(listFromTheTop));
filter.addEventListener("change", () => soon(listFromTheTop));
document.getElementById("reset")?.addEventListener("click", reset);
document.getElementById("close").addEventListener("click", () => details.close());
document.addEventListener("click", clicked);
// An image's error event does not bubble, but it can be captured. An image without src was dropped.
sheet.addEventListener("error", ({ target }) => target.src && imageFailed(target), true);
addEventListener("scroll", () => soon(draw), { passive: true });
addEventListener("resize", () => soon(() => show(shown)));
list();
