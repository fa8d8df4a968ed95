/** To start and stop the monitor of limits: what is asked before, where it is sent, and what is said. For Limits and Operations. */

const MONITORING = "/api/v1/sprint3/risk/monitoring";

/** @type {{path: string, question?: {title: string, text: string, action: string}, words: () => string}} */
export const START_MONITORING = {
  path: `${MONITORING}/start`,
  words: () => "Limits are monitored from the next interval on.",
};

/** @type {typeof START_MONITORING} */
export const STOP_MONITORING = {
  question: {
    title: "Stop monitoring?",
    text: "No limit is evaluated and nobody is alerted of one until monitoring is started again. Trades are still checked.",
    action: "Stop monitoring",
  },
  path: `${MONITORING}/stop`,
  words: () => "Limits are not monitored any more.",
};
