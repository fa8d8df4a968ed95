/**
 * A dash says in its `title` why there is no figure, and a badge why it stands there, which a pointer alone comes by. Here
 * they become stops of the keyboard, to be tapped, and read by screen readers; css/parts.css shows the reason while one has
 * the focus.
 */

const DASH = "–";
const BADGE = "span.badge";
const HOLDERS = "td, th, dt, dd, li"; // whose own role has to stay
const STOP = { tabindex: "0", role: "note", "data-why": "" };

/** @param {Element} element */
function explain(element) {
  if (!element.getAttribute("title") || !needsReason(element)) silence(element);
  else if (element.matches(HOLDERS)) explain(moved(element));
  else for (const [name, value] of Object.entries(STOP)) element.setAttribute(name, value);
}

/** @param {Element} element */
const needsReason = (element) => element.textContent?.trim() === DASH || element.matches(BADGE);

/** There is a figure by now. @param {Element} element */
function silence(element) {
  if (element.hasAttribute("data-why")) for (const name of Object.keys(STOP)) element.removeAttribute(name);
}

/** Into an element of its own, with its reason. @param {Element} holder */
function moved(holder) {
  const dash = document.createElement("span");
  dash.title = holder.getAttribute("title") ?? "";
  holder.removeAttribute("title");
  dash.append(...holder.childNodes);
  holder.append(dash);
  return dash;
}

/** @param {Element} element */
function explainBelow(element) {
  explain(element);
  element.querySelectorAll("[title]").forEach(explain);
}

/** @param {MutationRecord[]} records Of titles, texts and new elements. */
function look(records) {
  for (const { target, addedNodes } of records) {
    explain(/** @type {Element} */ (target));
    addedNodes.forEach((node) => node instanceof Element && explainBelow(node));
  }
}

const content = document.getElementById("content");
if (content) {
  explainBelow(content);
  new MutationObserver(look).observe(content, { subtree: true, childList: true, attributeFilter: ["title"] });
}

// Not every browser gives the focus to what is tapped.
document.addEventListener("click", ({ target }) => /** @type {HTMLElement | null} */ (/** @type {Element} */ (target).closest("[data-why]"))?.focus());
document.addEventListener("keydown", ({ key }) => {
  const shown = /** @type {HTMLElement | null} */ (document.querySelector("[data-why]:focus"));
  if (key === "Escape") shown?.blur();
});
