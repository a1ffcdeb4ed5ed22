// Copy buttons and the choice of light or dark: works on every page, without a network.
"use strict";
document.addEventListener("click", function (event) {
  const button = event.target.closest("[data-copy],[data-theme-switch]");
  if (!button) return;
  if (button.dataset.themeSwitch !== undefined) return switchTheme();
  const text = document.getElementById(button.dataset.copy).textContent;
  const done = function () {
    const label = button.dataset.label || button.textContent;
    button.dataset.label = label;
    button.textContent = "Copied";
    setTimeout(function () { button.textContent = label; }, 1500);
  };
  const byHand = function () {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    if (document.execCommand("copy")) done();
    area.remove();
    button.focus();
  };
  if (navigator.clipboard && window.isSecureContext) navigator.clipboard.writeText(text).then(done, byHand);
  else byHand();
});
function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(dark ? "light" : "dark");
  try { localStorage.setItem("pins-theme", root.dataset.theme); } catch (error) { /* storage may be switched off */ }
}
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  document.dispatchEvent(new Event("theme"));
}
try { const kept = localStorage.getItem("pins-theme"); if (kept) setTheme(kept); } catch (error) { /* the same */ }
