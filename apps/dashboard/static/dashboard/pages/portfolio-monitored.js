/** What the monitor's word means for a page that shows figures of closes. */

const FIGURES = ["as_of", "value", "gross_exposure", "net_exposure", "var_99"];

/**
 * Tells, message by message, whether the monitor found other prices or another book. It speaks only of what changed: so
 * the first is news too, and only one with the figures of the one before is about limits alone.
 * @returns {(data: any) => boolean}
 */
export function monitorNews() {
  let known = "";
  return (data) => {
    if (data.event !== "risk.monitored") return false;
    const before = known;
    known = FIGURES.map((name) => data[name]).join(" ");
    return known !== before;
  };
}
