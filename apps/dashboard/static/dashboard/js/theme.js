// Before anything is drawn: light or dark as chosen here or in the admin, which keeps it under the same name.
(() => {
  const read = () => {
    try {
      return JSON.parse(localStorage.getItem("_x_adminTheme") ?? '"auto"');
    } catch {
      return "auto";
    }
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => read() === "dark" || (read() !== "light" && system.matches);
  const apply = () => {
    document.documentElement.classList.toggle("dark", isDark());
    document.dispatchEvent(new Event("nautilus:theme"));
  };
  system.addEventListener("change", apply);
  addEventListener("storage", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("#theme")) return;
    localStorage.setItem("_x_adminTheme", JSON.stringify(isDark() ? "light" : "dark"));
    apply();
  });
  apply();
})();
