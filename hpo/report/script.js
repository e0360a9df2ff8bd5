"use strict";
// A chosen row stands out in every chart; without this script the page loses nothing but that and its buttons.
let chosen = null;
function choose(trial) {
  document.querySelectorAll(".on").forEach((it) => it.classList.remove("on"));
  chosen = trial === chosen ? null : trial;
  if (chosen === null) return;
  document.querySelectorAll(`[data-t="${chosen}"]`).forEach((it) => {
    it.classList.add("on");
    if (it.ownerSVGElement) it.parentNode.append(it);
  });
}
document.addEventListener("click", (event) => {
  const found = event.target.closest("[data-t]");
  if (found && Number(found.dataset.t) >= 0) choose(found.dataset.t);
});
document.addEventListener("keydown", (event) => {
  const row = event.target.closest("tr[data-t]");
  if (row && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    choose(row.dataset.t);
  }
});
document.querySelectorAll(".copy button").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => {
    const selection = getSelection();
    selection.selectAllChildren(button.previousElementSibling);
    const done = () => { button.textContent = "Copied"; };
    if (navigator.clipboard) navigator.clipboard.writeText(selection.toString()).then(done, () => document.execCommand("copy") && done());
    else if (document.execCommand("copy")) done();
  });
});
