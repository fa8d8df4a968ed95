/**
 * Days along the x axis of a chart: in true distances, with marks at beginnings of years, months or weeks. Dates are
 * "2022-12-28"; on the axis a day is its number since 1970.
 */

const DAY_MILLISECONDS = 86_400_000;
const MOST_MARKS = 9;
const STEPS_MONTHS = [1, 2, 3, 6, 12, 24, 60, 120, 240];
const STEPS_DAYS = [1, 2, 7, 14];

/** @param {string} date */
const dayNumber = (date) => Date.parse(date) / DAY_MILLISECONDS;
/** @param {number} day */
export const dayName = (day) => new Date(day * DAY_MILLISECONDS).toISOString().slice(0, 10);

/** Points of a line. @param {string[]} dates @param {(number | null)[]} values */
export const points = (dates, values) => values.map((y, place) => ({ x: dayNumber(dates[place]), y }));

/** A Chart.js scale for `points` of these dates. @param {string[]} dates */
export function dayAxis(dates) {
  const [min, max] = [dayNumber(dates[0]), dayNumber(dates[dates.length - 1])];
  const { days, written } = marks(min, max);
  return {
    type: "linear",
    min,
    max,
    grid: { display: false },
    ticks: { callback: written },
    afterBuildTicks: (/** @type {any} */ axis) => {
      axis.ticks = days.map((value) => ({ value }));
    },
  };
}

/** @param {number} min @param {number} max @returns {{days: number[], written: (day: number) => string}} */
function marks(min, max) {
  const months = (max - min) / 30.44;
  if (months < 3) {
    const step = STEPS_DAYS.find((days) => (max - min) / days <= MOST_MARKS) ?? 14;
    return { days: every(min, max, step), written: (day) => dayName(day).slice(5) };
  }
  const step = STEPS_MONTHS.find((size) => months / size <= MOST_MARKS) ?? 240;
  return { days: monthStarts(min, max, step), written: (day) => dayName(day).slice(0, step < 12 ? 7 : 4) };
}

/** @param {number} min @param {number} max @param {number} step */
const every = (min, max, step) => Array.from({ length: Math.floor((max - min) / step) + 1 }, (_, place) => min + place * step);

/** Firsts of every so many months; where years are whole, of January. @param {number} min @param {number} max @param {number} step */
function monthStarts(min, max, step) {
  const first = new Date(min * DAY_MILLISECONDS);
  const month = 12 * first.getUTCFullYear() + first.getUTCMonth();
  const found = [];
  for (let at = Math.ceil(month / step) * step; ; at += step) {
    const day = Date.UTC(Math.floor(at / 12), at % 12) / DAY_MILLISECONDS;
    if (day > max) return found;
    if (day >= min) found.push(day);
  }
}
