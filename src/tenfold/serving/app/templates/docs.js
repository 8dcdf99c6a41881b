
// Commands that can be copied as they are.
for (const code of document.querySelectorAll(".command code")) {
  code.textContent = code.textContent.replaceAll("ADDRESS", location.origin);
}
