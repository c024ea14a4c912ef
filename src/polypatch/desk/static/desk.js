// Comfort only: every page works without it.
"use strict";
const more = document.getElementById("more");
if (more) {
  more.hidden = false;
  more.addEventListener("click", () => {
    const rows = document.getElementById("rows");
    const row = rows.lastElementChild.cloneNode(true);
    for (const input of row.querySelectorAll("input")) { input.value = ""; input.removeAttribute("lang"); input.autofocus = false; }
    rows.append(row);
    row.querySelector("input").focus();
  });
  document.getElementById("rows").addEventListener("change", (event) => {
    if (event.target.name === "lang" && /^[a-z]{2,3}$/.test(event.target.value)) {
      for (const input of event.target.closest(".row").querySelectorAll("[name=text], [name=second]")) input.lang = event.target.value;
    }
  });
}
const answers = document.getElementById("answers");
if (answers) {
  answers.scrollIntoView();
  const first = document.querySelector(".card input:not([type=hidden])");
  if (first) first.focus({ preventScroll: true });
}
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => {
    for (const button of form.querySelectorAll("button:not([type=button])")) button.setAttribute("aria-busy", "true");
  });
}
