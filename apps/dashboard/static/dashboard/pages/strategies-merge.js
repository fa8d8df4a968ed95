/** One merge request: ended by what somebody writes, or by the version that was posted. */

import { post } from "../js/api.js";
import { pageData } from "../js/page-data.js";
import { code, dialogOf, jsonObject, onSubmit, text, wireDialogs } from "./strategies-forms.js";
import { refresh } from "./strategies-fragments.js";

const { strategy = "", mergeRequest } = /** @type {HTMLElement} */ (document.querySelector("[data-merge-request]")).dataset;
/** @type {string[]} */
const marks = pageData("marks");

/** @param {object} answer */
async function resolve(answer) {
  try {
    const made = await post(`/api/v1/sprint3/strategy/versions/${strategy}/resolve`, { merge_request_id: Number(mergeRequest), ...answer });
    location.assign(`/strategies/${strategy}?version=${made.version}`);
  } catch (error) {
    refresh("hunks"); // the head may have moved: then they are against the new one
    throw error;
  }
}

/** @param {string} written */
function refuseMarks(written) {
  const at = written.split("\n").findIndex((line) => marks.includes(line));
  if (at >= 0) throw new Error(`Line ${at + 1} is still a mark of what collided; write what holds there, and take the marks out.`);
}

/** @param {any} value @param {string} path */
function refuseMarkedValues(value, path = "") {
  if (typeof value === "string" && value.startsWith(marks[0])) {
    throw new Error(`“${path}” is still a mark of what collided; write the value that holds.`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) return;
  for (const [key, inner] of Object.entries(value)) refuseMarkedValues(inner, path ? `${path}.${key}` : key);
}

wireDialogs();
onSubmit(/** @type {HTMLFormElement | null} */ (document.getElementById("by-hand")), async (data) => {
  const written = code(data, "code");
  const parameters = jsonObject(data, "parameters");
  refuseMarks(written);
  refuseMarkedValues(parameters);
  await resolve({ conflict_resolution: "manual", code: written, parameters, message: text(data, "message") });
});
onSubmit(dialogOf("latest")?.querySelector("form"), (data) =>
  resolve({ conflict_resolution: "latest", message: text(data, "message") }),
);
