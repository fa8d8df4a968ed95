/** What the server wrote into the page for its script: `{{ value|json_script:"id" }}`. @param {string} id */
export const pageData = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");
