// What of a page cannot be read as it has no room, a line each.
const page = document.documentElement.clientWidth;
const found = new Set();
const tell = (what, text) => found.add(`${what}: ${text.trim().slice(0, 60)}`);
if (document.documentElement.scrollWidth > page) {
  tell(`the page is ${document.documentElement.scrollWidth} px wide`, location.pathname);
}
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  if (!node.data.trim()) continue;
  const room = [{ left: 0, right: page }];
  for (const around of ["td, th", ".wide", "svg", "button", ".figures div"]) {
    const one = node.parentElement.closest(around);
    if (one) room.push(one.getBoundingClientRect());
  }
  const [left, right] = [Math.max(...room.map((one) => one.left)), Math.min(...room.map((one) => one.right))];
  const range = document.createRange();
  range.selectNodeContents(node);
  for (const seen of range.getClientRects()) {
    // What is far out is there for those who do not see.
    if (seen.width === 0 || seen.right < -500) continue;
    if (seen.left < left - 1 || seen.right > right + 1) tell("cut off", node.data);
  }
}
for (const field of document.querySelectorAll("input[placeholder]")) {
  if (!field.value && field.scrollWidth > field.clientWidth) tell("cut off", field.placeholder);
}
return [...found];
