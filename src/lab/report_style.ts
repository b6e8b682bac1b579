/**
 * The report's style sheet. Variables carry all colours, so charts and text follow the reader's choice of light or
 * dark; paper is always light. The curves' colours keep apart under the common forms of colour blindness (after Okabe
 * and Ito, "Color Universal Design", 2008) and have a contrast of 3:1 at least on their page (WCAG 2.2, 1.4.11).
 */

/** Curves' colours on the light page and on the dark one. */
export const CURVES = {
  light: ['#0067b3', '#c84a00', '#00806a', '#a33a8b', '#8a6900', '#3f4a5a', '#b3263f', '#2b86b8'],
  dark: ['#63b3ff', '#ff9a52', '#3fd0a8', '#ec8fd6', '#e6c34d', '#b4c0cf', '#ff8797', '#86d7f7'],
} as const;

const LIGHT = {
  paper: '#ffffff',
  wash: '#f5f6f8',
  ink: '#1b2028',
  soft: '#59636f',
  line: '#d9dee4',
  grid: '#e7eaee',
  link: '#0b5cad',
  good: '#13713f',
  bad: '#a8420a',
  open: '#59636f',
};

const DARK = {
  paper: '#14181d',
  wash: '#1c2229',
  ink: '#e6e9ed',
  soft: '#a0abb7',
  line: '#343d47',
  grid: '#262d35',
  link: '#7cb8ff',
  good: '#62cf92',
  bad: '#ffa368',
  open: '#a0abb7',
};

function variables(colours: Readonly<Record<string, string>>, curves: readonly string[]): string {
  const all = [...Object.entries(colours), ...curves.map((colour, i) => [`s${i}`, colour])];
  return all.map(([name, colour]) => `--${name}:${colour}`).join(';');
}

export const STYLE = `
:root { color-scheme: light dark; ${variables(LIGHT, CURVES.light)} }
@media screen and (prefers-color-scheme: dark) { :root { ${variables(DARK, CURVES.dark)} } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 72rem; padding: 2.5rem clamp(1rem, 4vw, 2.5rem) 4rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: anywhere;
}
h1, h2, h3, p, ul, ol, dl, figure, table { margin: 0; padding: 0; }
h1 { font-size: 2rem; line-height: 1.2; font-weight: 650; letter-spacing: -0.015em; }
h2 { font-size: 1.45rem; line-height: 1.25; font-weight: 650; letter-spacing: -0.01em; }
h3 { font-size: 0.8rem; font-weight: 650; color: var(--soft); text-transform: uppercase; letter-spacing: 0.06em; }
a { color: var(--link); text-underline-offset: 0.15em; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.soft { color: var(--soft); }
.lead { margin-top: 0.6rem; color: var(--soft); max-width: 46rem; }
.notice { margin-top: 1.25rem; padding: 0.7rem 1rem; border-left: 3px solid var(--bad); background: var(--wash); }

.overview { margin-top: 2rem; border-top: 1px solid var(--line); list-style: none; }
.overview li {
  display: grid; grid-template-columns: minmax(0, 17rem) minmax(0, 1fr); gap: 0.25rem 1.5rem;
  padding: 0.75rem 0; border-bottom: 1px solid var(--line);
}
.overview a { font-weight: 600; }

.verdict { display: flex; gap: 0.7rem; align-items: baseline; margin-top: 0.35rem; }
.verdict:first-child { margin-top: 0; }
.badge {
  flex: none; padding: 0 0.55em; border: 1px solid currentColor; border-radius: 1em;
  font-size: 0.78rem; font-weight: 600; line-height: 1.6; white-space: nowrap;
}
.agrees .badge { color: var(--good); }
.differs .badge, .failed .badge { color: var(--bad); }
.unclear .badge, .not-comparable .badge, .missing .badge, .stopped .badge { color: var(--open); }

section { margin-top: 3.5rem; padding-top: 1.75rem; border-top: 1px solid var(--line); }
.question { margin-top: 0.35rem; font-size: 1.08rem; color: var(--soft); max-width: 46rem; }
.verdicts { margin-top: 1.1rem; max-width: 58rem; }
.beside { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 17rem); gap: 2rem 2.5rem; margin-top: 1.6rem; }
.beside > * { min-width: 0; }
aside > * + h3 { margin-top: 1.6rem; }
aside p, aside li { font-size: 0.93rem; }
.talk { position: sticky; top: 1.5rem; padding: 1rem 1.15rem; background: var(--wash); border-radius: 0.5rem; }
.talk p { margin-top: 0.5rem; }
.notes { margin-top: 0.5rem; padding-left: 1.1rem; }
.notes li + li { margin-top: 0.3rem; }
.notes ::marker { color: var(--soft); }
.method { margin-top: 1.75rem; }
.method + .method { margin-top: 1.25rem; }
.method .notes { font-size: 0.93rem; }

figure { container-type: inline-size; }
figure + figure, .tabular { margin-top: 2.25rem; }
figcaption { font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: 0.15rem 1.1rem; margin-top: 0.45rem; list-style: none; font-size: 0.88rem; }
.legend li { display: flex; gap: 0.45rem; align-items: center; }
.swatch { flex: none; width: 30px; height: 14px; overflow: visible; }
.axis { margin-top: 0.6rem; font-size: 0.8rem; line-height: 1.4; color: var(--soft); }
.axis.x { margin-top: 0; text-align: right; }
.chart { display: block; width: 100%; height: auto; font-family: inherit; font-variant-numeric: tabular-nums; }
.chart text { white-space: pre; }
.narrow { display: none; }
@container (max-width: 34rem) { .wide { display: none; } .narrow { display: block; } }
.remark { margin-top: 0.4rem; font-size: 0.85rem; color: var(--soft); }

details { margin-top: 0.5rem; font-size: 0.88rem; }
summary { width: max-content; max-width: 100%; cursor: pointer; color: var(--link); }
.scroll { overflow-x: auto; margin-top: 0.5rem; }
table { border-collapse: collapse; font-size: 0.88rem; line-height: 1.4; font-variant-numeric: tabular-nums; }
th, td {
  padding: 0.28rem 0.9rem 0.28rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--grid); overflow-wrap: normal;
}
th { font-weight: 600; }
thead th { border-bottom-color: var(--line); color: var(--soft); }
td.number, th.number { text-align: right; }
td.number { white-space: nowrap; }
.tabular h3 { text-transform: none; letter-spacing: 0; font-size: 1rem; color: inherit; }

.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 0.3rem 2rem; margin-top: 1rem; }
.facts div { display: grid; grid-template-columns: 8.5rem minmax(0, 1fr); gap: 0.75rem; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; }
footer { margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--line); font-size: 0.88rem; color: var(--soft); }

@media (max-width: 54rem) {
  .beside { grid-template-columns: minmax(0, 1fr); }
  .beside aside { order: -1; }
  .talk { position: static; }
}
@media (max-width: 36rem) {
  h1 { font-size: 1.6rem; }
  .overview li { grid-template-columns: minmax(0, 1fr); }
  .verdict { flex-direction: column; gap: 0.2rem; }
  .verdict + .verdict { margin-top: 0.8rem; }
  .facts div { grid-template-columns: 8rem minmax(0, 1fr); }
}
@media print {
  @page { margin: 16mm 14mm; }
  html { font-size: 9.5pt; }
  body { max-width: none; padding: 0; }
  a { color: inherit; text-decoration: none; }
  section { margin-top: 0; padding-top: 0; border-top: 0; break-before: page; }
  section.flow { break-before: auto; margin-top: 2rem; }
  .beside { grid-template-columns: minmax(0, 1fr) 13rem; gap: 1.5rem; }
  .beside aside { order: 0; }
  .talk { position: static; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  figure, .overview li, tr, .verdict { break-inside: avoid; }
  h2, h3, figcaption { break-after: avoid; }
  .scroll { overflow: visible; }
  summary { color: inherit; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
`;
