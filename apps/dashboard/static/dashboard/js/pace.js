/**
 * Work that news call for, however often they come: soon after the first, never twice at once, and the longer it takes
 * the longer it waits, so that a page with a large book does not keep a server busy.
 */

const SHARE = 0.1; // of the time, at most
const LONGEST_MILLISECONDS = 10_000; // an answer that never comes must not be the last

/**
 * @param {() => Promise<unknown> | unknown} work @param {number} [soonMilliseconds] Between two, at least.
 * @returns {() => void} Asks for it.
 */
export function paced(work, soonMilliseconds = 300) {
  let isAsked = false;
  let isBusy = false;

  async function run() {
    isAsked = false;
    const begun = performance.now();
    try {
      await Promise.race([work(), later(LONGEST_MILLISECONDS)]);
    } finally {
      await later(Math.max(soonMilliseconds, (performance.now() - begun) * (1 / SHARE - 1)));
      isBusy = false;
      if (isAsked) begin();
    }
  }

  function begin() {
    isBusy = true;
    setTimeout(run, soonMilliseconds);
  }

  return () => {
    isAsked = true;
    if (!isBusy) begin();
  };
}

/** @param {number} milliseconds */
const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Asks htmx for an element anew; ends with the answer. @param {Element | null} element */
export function asked(element) {
  return new Promise((resolve) => {
    if (!element) return resolve(undefined);
    element.addEventListener("htmx:afterRequest", resolve, { once: true });
    element.dispatchEvent(new Event("nautilus:refresh"));
  });
}
