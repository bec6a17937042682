// The levels of a stock over time, as steps: a level holds until the next event.

import { el, moment, number, svg } from "./dom.js";

const HEIGHT = 240;
const EDGE = { top: 24, right: 96, bottom: 28, left: 52 };
const NARROW = 520;
const LEVELS = [["on_hand", "On hand"], ["reserved", "Reserved"], ["available", "Available"]];

/** Return a figure, and `draw(events)` with the oldest event first. */
export function plot(name) {
  const canvas = el("div", { class: "canvas" });
  const readout = el("figcaption", { class: "readout" });
  const node = el("figure", { class: "plot", tabindex: "0", "aria-label": `Levels of ${name} over time; the arrow keys go from event to event` }, canvas, readout);
  let events = [];
  let at = null;

  const show = (index) => {
    at = index === null ? null : Math.max(0, Math.min(events.length - 1, index));
    render();
  };
  node.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !events.length) return;
    event.preventDefault();
    show((at ?? events.length) + step);
  });
  node.addEventListener("blur", () => show(null));
  canvas.addEventListener("pointerleave", () => show(null));
  canvas.addEventListener("pointermove", (event) => {
    if (!events.length) return;
    const scale = scales(events, canvas.clientWidth);
    const x = event.clientX - canvas.getBoundingClientRect().left;
    const after = events.findIndex((one) => scale.x(one) > x);
    show(after < 0 ? events.length - 1 : after - 1);
  });

  const render = () => {
    canvas.replaceChildren();
    readout.replaceChildren();
    if (!events.length || canvas.clientWidth < 50) return;
    canvas.append(drawn(events, canvas.clientWidth, at));
    const chosen = events[at ?? events.length - 1];
    readout.append(at === null ? "Now: " : el("span", {}, moment(chosen.time), `, position ${number(chosen.position)}: `),
      LEVELS.map(([level, said], index) => `${index ? ", " : ""}${said.toLowerCase()} ${number(chosen.after[level])}`).join(""));
  };
  new ResizeObserver(render).observe(canvas);
  return {
    node,
    draw(found) {
      events = found.filter((event) => event.after);
      at = null;
      render();
    },
  };
}

function scales(events, width) {
  const right = width < NARROW ? 12 : EDGE.right;
  const begin = Date.parse(events[0].time);
  const end = Math.max(Date.now(), Date.parse(events.at(-1).time), begin + 1000);
  const most = Math.max(1, ...events.flatMap(({ after }) => LEVELS.map(([level]) => after[level])));
  const step = niceStep(most / 4);
  const top = Math.ceil(most / step) * step;
  const inner = { width: width - EDGE.left - right, height: HEIGHT - EDGE.top - EDGE.bottom };
  const xOf = (time) => EDGE.left + ((time - begin) / (end - begin)) * inner.width;
  return {
    begin, end, step, top, right,
    at: xOf,
    x: (event) => xOf(Date.parse(event.time)),
    y: (value) => EDGE.top + (1 - value / top) * inner.height,
  };
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  return Math.max(1, [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough));
}

function drawn(events, width, at) {
  const scale = scales(events, width);
  const root = svg("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": summary(events) });
  for (let value = 0; value <= scale.top; value += scale.step) {
    const y = scale.y(value);
    root.append(svg("line", { class: "grid", x1: EDGE.left, x2: width - scale.right, y1: y, y2: y }),
      svg("text", { class: "tick", x: EDGE.left - 10, y: y + 4, "text-anchor": "end" }, number(value)));
  }
  root.append(...timeTicks(scale, width));
  root.append(svg("path", { class: "area", d: `${steps(events, scale, "available")}V${scale.y(0)}H${scale.x(events[0])}Z` }));
  for (const [level] of LEVELS) root.append(svg("path", { class: `line ${level}`, d: steps(events, scale, level) }));
  if (width >= NARROW) root.append(...labels(events.at(-1).after, scale, width));
  else root.append(...legend());
  if (at !== null) {
    const x = scale.x(events[at]);
    root.append(svg("line", { class: "cursor", x1: x, x2: x, y1: EDGE.top, y2: HEIGHT - EDGE.bottom }));
    for (const [level] of LEVELS) root.append(svg("circle", { class: level, cx: x, cy: scale.y(events[at].after[level]), r: 3.5 }));
  }
  return root;
}

function steps(events, scale, level) {
  const path = events.map((event, index) => {
    const y = scale.y(event.after[level]);
    return index ? `H${scale.x(event)}V${y}` : `M${scale.x(event)},${y}`;
  });
  return `${path.join("")}H${scale.at(scale.end)}`;
}

/** Return names at the ends of the lines, moved apart where they would overlap. */
function labels(levels, scale, width) {
  const places = LEVELS.map(([level, said]) => ({ level, said, y: scale.y(levels[level]) })).sort((a, b) => a.y - b.y);
  places.forEach((place, index) => {
    if (index) place.y = Math.max(place.y, places[index - 1].y + 16);
  });
  const over = places.at(-1).y - (HEIGHT - EDGE.bottom);
  if (over > 0) for (const place of places) place.y -= over;
  return places.map(({ level, said, y }) =>
    svg("text", { class: `label ${level}`, x: width - scale.right + 10, y: y + 4 }, said));
}

function legend() {
  return LEVELS.flatMap(([level, said], index) => {
    const x = 2 + index * 92;
    return [svg("path", { class: `line ${level}`, d: `M${x},7H${x + 18}` }),
      svg("text", { class: `label ${level}`, x: x + 22, y: 11 }, said)];
  });
}

function timeTicks(scale, width) {
  const count = width < NARROW ? 2 : 4;
  const isShort = scale.end - scale.begin < 36 * 3600 * 1000;
  const format = new Intl.DateTimeFormat("en-GB", isShort
    ? { hour: "2-digit", minute: "2-digit", second: scale.end - scale.begin < 600_000 ? "2-digit" : undefined }
    : { day: "numeric", month: "short" });
  return Array.from({ length: count + 1 }, (_, index) => {
    const time = scale.begin + (index / count) * (scale.end - scale.begin);
    const anchor = index === 0 ? "start" : index === count ? "end" : "middle";
    return svg("text", { class: "tick", x: scale.at(time), y: HEIGHT - 8, "text-anchor": anchor }, format.format(time));
  });
}

function summary(events) {
  const [first, last] = [events[0].after, events.at(-1).after];
  return `From ${number(first.available)} to ${number(last.available)} available over ${events.length} events; the table below has each of them.`;
}

/** Return a bar for each of the *counts*. */
export function bars(counts, label) {
  const width = 3 * counts.length;
  const most = Math.max(1, ...counts);
  return svg("svg", { class: "bars", viewBox: `0 0 ${width} 28`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    counts.map((count, index) => {
      const height = count ? Math.max(2, (count / most) * 28) : 1;
      return svg("rect", { x: index * 3, y: 28 - height, width: 2, height, class: count ? "" : "zero" });
    }));
}
