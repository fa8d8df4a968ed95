/**
 * Asks before what is not taken back by a click: a dialog whose button says what it does.
 *
 *     if (await confirmed({ title: "Restart the sockets?", text: "Clients come back by themselves.", action: "Restart" })) …
 */

let number = 0;

/**
 * @param {{title: string, text: string, action: string, danger?: boolean}} question
 * @returns {Promise<boolean>} False where it was closed in any other way.
 */
export function confirmed({ title, text, action, danger = true }) {
  const dialog = document.createElement("dialog");
  const [heading, words, row] = [document.createElement("h2"), document.createElement("p"), document.createElement("div")];
  number += 1;
  heading.id = `question-${number}`;
  heading.textContent = title;
  words.id = `question-${number}-words`;
  words.textContent = text;
  dialog.setAttribute("aria-labelledby", heading.id);
  dialog.setAttribute("aria-describedby", words.id);
  row.className = "row end";
  row.append(button("Back", "", () => dialog.close()), button(action, danger ? "danger" : "primary", () => dialog.close("yes")));
  const stack = document.createElement("div");
  stack.className = "stack";
  stack.append(heading, words, row);
  dialog.append(stack);
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    dialog.showModal();
  });
}

/** @param {string} words @param {string} kind @param {() => void} work */
function button(words, kind, work) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = kind;
  made.textContent = words;
  made.addEventListener("click", work);
  return made;
}
