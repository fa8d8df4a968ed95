/** The list of strategies, and what of them runs or is on its way. */

import { post } from "../js/api.js";
import { keepChosen } from "../js/chosen.js";
import { say } from "../js/messages.js";
import { dialogOf, number, onSubmit, text, wireDialogs } from "./strategies-forms.js";
import { followListed, refresh } from "./strategies-fragments.js";
import { offerRollBack } from "./strategies-rollback.js";

const API = "/api/v1/sprint3/strategy";

const changed = () => refresh("deployments", "strategies");

wireDialogs();
keepChosen(refresh);
followListed(changed);
offerRollBack((answering, asked) => {
  say(answering === asked ? `${asked} has ended.` : `${answering} is on its way: it takes the place of ${asked}.`, "good");
  changed();
});

onSubmit(dialogOf("new-strategy")?.querySelector("form"), async (data) => {
  const id = text(data, "id");
  const made = await post(`${API}/strategies`, { name: text(data, "name"), description: text(data, "description"), ...(id && { id }) });
  location.assign(`/strategies/${encodeURIComponent(made.id)}`);
});

onSubmit(dialogOf("clear-stuck")?.querySelector("form"), async (data) => {
  const { cleared } = await post(`${API}/deployments/clear-stuck`, { older_than_minutes: number(data, "minutes") });
  dialogOf("clear-stuck")?.close();
  say(cleared.length > 0 ? `Ended as failed: ${cleared.join(", ")}.` : "No deployment has been on its way for so long.", "good");
  changed();
});
