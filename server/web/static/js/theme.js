// Loaded first and blocking, so that the right theme is there before the first
// paint. "auto" follows the device.
(function () {
  var root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)"), choice = "auto";
  try { choice = localStorage.getItem("hokan.theme") || "auto"; } catch (e) { /* no storage: as the device */ }
  function apply() {
    root.dataset.choice = choice;
    root.dataset.theme = choice === "light" || choice === "dark" ? choice : dark.matches ? "dark" : "light";
    document.dispatchEvent(new Event("hokan:theme"));
  }
  apply();
  dark.addEventListener("change", apply);
  addEventListener("hokan:choose-theme", function (e) { choice = e.detail; apply(); });
})();
