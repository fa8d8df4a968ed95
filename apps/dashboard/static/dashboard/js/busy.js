/**
 * While what a button asked for is under way it does nothing more. It is not switched off by `disabled`, which takes the
 * focus from who has pressed it by keyboard.
 *
 *     await whileBusy(button, () => post(path));
 *
 * @template T @param {Element} button @param {() => Promise<T>} work
 * @returns {Promise<T | undefined>} Undefined where it is at work already.
 */
export async function whileBusy(button, work) {
  if (button.ariaDisabled === "true") return undefined;
  button.ariaDisabled = "true";
  try {
    return await work();
  } finally {
    button.ariaDisabled = null;
  }
}
