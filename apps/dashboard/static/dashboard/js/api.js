/** The REST API with the session of the page. */

export class ApiError extends Error {
  /** @param {number} status @param {{code: string, detail: string, attr: string | null}[]} errors @param {any} [body] The whole answer. */
  constructor(status, errors, body = null) {
    super(errors.map(({ detail, attr }) => (attr ? `${attr}: ${detail}` : detail)).join(" "));
    this.status = status;
    this.errors = errors;
    this.body = body;
  }
}

const token = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";

/**
 * The parsed answer; throws an ApiError with the server's own words for any status of 400 or more.
 * @param {string} method @param {string} path @param {object} [body] @param {{signal?: AbortSignal, key?: string}} [options]
 *   `key`: an idempotency key; the same one for a request that is sent again.
 * @returns {Promise<any>}
 */
export async function ask(method, path, body, { signal, key } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = token();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const answer = await reached(path, { method, headers, body: body && JSON.stringify(body), signal });
  if (answer.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  const said = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return said;
  throw new ApiError(answer.status, said?.errors ?? [{ code: "error", detail: unexpected(answer), attr: null }], said);
}

/** @param {string} path @param {RequestInit} how */
async function reached(path, how) {
  try {
    return await fetch(path, how);
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") throw error;
    throw new ApiError(0, [{ code: "not_reached", detail: "Nautilus cannot be reached. Try again in a moment.", attr: null }]);
  }
}

/** @param {Response} answer */
const unexpected = (answer) => `Nautilus answered ${answer.status} ${answer.statusText}. Try again in a moment.`;

/** @param {string} path @param {{signal?: AbortSignal}} [options] */
export const get = (path, options) => ask("GET", path, undefined, options);
/** With a key of its own, so that a proxy which sends it twice does no harm. @param {string} path @param {object} body */
export const post = (path, body = {}) => ask("POST", path, body, { key: crypto.randomUUID?.() });
