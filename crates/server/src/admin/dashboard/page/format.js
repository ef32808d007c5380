// Numbers and times as texts.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const count = (number) => (number < 100_000 ? whole.format(number) : short.format(number));

export function rate(perSecond) {
  if (perSecond === 0) return "0";
  if (perSecond < 0.1) return "< 0.1";
  return perSecond < 100 ? one.format(perSecond) : count(perSecond);
}

export function percent(share) {
  if (share > 0 && share < 0.001) return "< 0.1 %";
  return `${one.format(share * 100)} %`;
}

export function seconds(time) {
  if (time === undefined || time === null) return "–";
  if (time < 0.001) return `${one.format(time * 1e6)} µs`;
  if (time < 1) return `${one.format(time * 1e3)} ms`;
  return `${one.format(time)} s`;
}

/** A span of time in its two largest units. */
export function span(totalSeconds) {
  const units = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
  let rest = Math.max(0, Math.round(totalSeconds));
  const parts = [];
  for (const [name, length] of units) {
    const number = Math.floor(rest / length);
    rest -= number * length;
    if (number > 0 && parts.length < 2) parts.push(`${number} ${name}`);
    else if (parts.length > 0) break;
  }
  return parts.join(" ") || "0 s";
}

export const timeOfDay = (ms) => new Date(ms).toLocaleTimeString("en-GB");

export function dateAndTime(ms) {
  const date = new Date(ms);
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  return `${day}, ${timeOfDay(ms)}`;
}
