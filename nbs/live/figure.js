// Live figures: <div class="mi-live" data-figure="losses"></div>, one of losses, spectrum, steps, stop, explore; in a notebook, `render`.
import { parseLoss, parseTarget, verdict } from './core.js';

const RATIOS = [3, 6, 10, 15, 25, 40, 60, 100, 160, 250, 400], SIZES = [25, 50, 100, 200], WIDTHS = [32, 64, 128, 256, 512], STEPS = 16;
const TARGETS = ['h4(z1)+h4(z2)', 'h2(z1)+h4(z2)', 'h2(z1)+h2(z2)', 'h3(z1)*z2', 'z1*z2', 'h3(z1)+h3(z2)'];
const LOSSES = { mse: 'Squared loss', 'huber:0.3': 'Huber, δ = 0.3', 'huber:1': 'Huber, δ = 1', 'huber:3': 'Huber, δ = 3', l1: 'Absolute loss', 'pinball:0.9': 'Pinball, τ = 0.9', 'pinball:0.1': 'Pinball, τ = 0.1', 'expectile:0.9': 'Expectile, τ = 0.9', 'logcosh:1': 'Log cosh' };
const START = { target: TARGETS[0], left: 'mse', loss: 'huber:1', d: 100, ratio: 100, m: 512, noise: 0, seed: 0, t: 3 };
const STORIES = { 'Huber sees h4': {}, 'Too few rows': { ratio: 6 }, 'Stop in time': { target: TARGETS[1], t: 16 }, 'An odd target': { target: TARGETS[5], loss: 'pinball:0.9', ratio: 250 } };
const BOTH = 'Discs: the hidden plane. A dot is a pair of neurons: on the circle it lies in the plane, in the centre it knows nothing of it (alignment: how far out the median dot is; coverage: how evenly they go round). Each step multiplies a neuron by S, the mean of x xᵀ weighted by what the loss passes on of each label. Bars: the eigenvalues of S; dashed, the edge of the noise. The large ones win, and in the end the largest alone. Curves: what is passed on of a label, on average at z. Squared loss passes the label itself; Huber clips large ones, and a clipped h4 is no longer of degree four alone. Dashed: the part of degree two, the only one that a mean of x xᵀ sees (it comes out with the other sign).';
const ERRORS = 'test error of the whole method if stage 1 stops after so many steps (the second layer sees at most 10\u202f000 rows of its own); 1 is no better than predicting the mean. Dashed: the default, the square root of log d rounded up.';
const FIGURES = {
  losses: {
    title: 'Same rows, same network, two losses', sides: [{ loss: 'left' }, {}], charts: ['plane', 'spectrum', 'passed'], knobs: ['loss', 'ratio', 't'], more: ['target', 'd', 'noise', 'seed'], stories: STORIES, note: BOTH,
  },
  explore: {
    title: 'The method under two losses', sides: [{ loss: 'left' }, {}], charts: ['plane', 'spectrum', 'passed', 'curves', 'errors'], knobs: ['loss', 'ratio', 't'], more: ['target', 'left', 'd', 'm', 'noise', 'seed'], start: { m: 256 }, stories: STORIES, errors: true,
    note: `${BOTH} Then, by step: alignment and coverage (dashed), and the ${ERRORS}`,
  },
  spectrum: {
    title: 'What S sees, as rows are added', sides: [{}], charts: ['spectrum', 'passed'], knobs: ['loss', 'ratio'], more: ['target', 'd', 'noise', 'seed'], start: { m: 64 },
    note: 'Bars: eigenvalues of S; dashed, the edge of the noise; triangles, where the two hidden directions would be with endless rows. Curve: the label as the loss passes it on, on average at z; dashed, its part of degree two.',
  },
  steps: {
    title: 'The neurons, step by step', sides: [{ target: TARGETS[0] }, { target: TARGETS[1] }], charts: ['plane', 'curves'], knobs: ['t', 'ratio'], more: ['loss', 'd', 'noise', 'seed'],
    note: 'Discs: the hidden plane; a dot is a pair of neurons. Below, by step: how far out the median neuron is (alignment) and how evenly the neurons cover the plane (coverage, dashed).',
  },
  stop: {
    title: 'When to stop', sides: [{}], charts: ['errors', 'plane'], knobs: ['target', 't', 'ratio'], more: ['loss', 'd', 'noise', 'seed'], start: { target: TARGETS[1], d: 50, m: 256 }, errors: true,
    note: `Curve: ${ERRORS} Disc: the neurons after the chosen step, on the hidden plane.`,
  },
};
const DRAWN = `text{font:12px system-ui,sans-serif;fill:currentColor}.h{font-weight:600;font-size:13px}.l,.c,.n{fill:none;stroke:currentColor;stroke-opacity:.55}.g{stroke-opacity:.2}.n{stroke-linecap:round;stroke-width:5}.c{stroke-width:2.2}.k{stroke-dasharray:5 4}.b{fill:currentColor;fill-opacity:.38}.m{text-anchor:middle}.e{text-anchor:end}.s0{stroke:var(--a)}.s1{stroke:var(--b)}.c.s0,.c.s1{stroke-opacity:1}.f0{fill:var(--a)}.f1{fill:var(--b)}`;
const CSS = `.mi-live{--a:#0072b2;--b:#c14f00;--edge:color-mix(in srgb,currentColor 45%,transparent);margin:1.5rem 0;padding:1rem;border:1px solid color-mix(in srgb,currentColor 18%,transparent);border-radius:10px;line-height:1.4;
.mi-title{font-weight:600;font-size:1.1em;margin:0 0 .4rem}.mi-row{display:flex;flex-wrap:wrap;align-items:center;gap:.4rem;margin:.6rem 0;font-size:.9em;.mi-row{margin:0;font-size:1em}}.mi-pic{position:relative}svg{display:block;width:100%;${DRAWN}}
.mi-busy svg{opacity:.3}.mi-wait{position:absolute;inset:35% 0 auto;text-align:center;font-weight:600}.mi-say{margin:.4rem 0 .6rem;min-height:4.2em;font-size:.95em}.mi-note{font-size:.86em;margin:.8rem 0 0}.mi-title+.mi-note{margin:-.2rem 0 .5rem}.mi-row+.mi-say{min-height:8.9em}&[data-figure=explore] .mi-row+.mi-say{min-height:10.4em}
.mi-knobs{display:grid;grid-template-columns:repeat(auto-fit,minmax(7.8rem,1fr));gap:.5rem 1rem;align-items:end}label{display:grid;gap:.1rem;font-size:.9em}label span{display:flex;justify-content:space-between;align-items:flex-end;gap:.4rem}label b{font-variant-numeric:tabular-nums}
input,select,button{width:100%;min-height:2rem;font:inherit;color:inherit;accent-color:var(--b)}select,input[list],button{border:1px solid var(--edge);border-radius:6px;background:transparent;padding:.15rem .5rem}option{color:#111;background:#fff}
button{width:auto;cursor:pointer}button:disabled{opacity:.65;cursor:default}button[aria-pressed=true]{background:color-mix(in srgb,currentColor 15%,transparent)}.mi-play{min-width:5.8em;background:var(--a);border-color:var(--a);color:#fff;font-weight:600}.quarto-dark & .mi-play{color:#111}
&:is([data-figure=losses],[data-figure=explore])>.mi-knobs{position:sticky;bottom:0;z-index:1001;border-top:1px solid var(--edge);padding:.4rem 0;background:var(--bs-body-bg,var(--jp-layout-color0,Canvas))}details{margin-top:.7rem;.mi-knobs{margin-top:.5rem}}:focus-visible{outline:3px solid var(--a);outline-offset:2px}@media(max-width:600px){.mi-title+.mi-row{gap:.3rem;font-size:.8em}.mi-row+.mi-say{min-height:14.1em;font-size:.86em;margin:.2rem 0 .3rem}&[data-figure=explore] .mi-row+.mi-say{min-height:16.9em}&:is([data-figure=losses],[data-figure=explore])>.mi-knobs{grid-template-columns:1.4fr 1fr 1fr;gap:.5rem;select{padding:0;font-size:.85em}}}@media print{.mi-knobs,.mi-row,details{display:none}}.quarto-dark &,[data-jp-theme-light=false] &{--a:#6cc0f5;--b:#ffa35c}}`;

const fix = (v, k = 2) => (Math.abs(v) < 0.5 * 10 ** -k ? 0 : v).toFixed(k).replace('-', '−'), many = n => n.toLocaleString('en').replaceAll(',', '\u202f'), clip = (v, low, high) => Math.min(high, Math.max(low, v));
const steps = t => t ? `after ${t} step${t === 1 ? '' : 's'}` : 'before the first step', range = n => Array.from({ length: n }, (_, i) => i), size = v => Math.max(...v.map(Math.abs));
const element = (name, set = {}, ...inside) => { const e = document.createElement(name); for (const k in set) k in e && k !== 'list' ? e[k] = set[k] : e.setAttribute(k, set[k]); e.append(...inside); return e; };

/** Check every knob of a state; those that cannot be are left out. */
function valid(from) {
  const out = {}, ok = f => { try { return f(); } catch { return false; } };
  const near = (list, v) => list.reduce((x, y) => Math.abs(y - v) < Math.abs(x - v) ? y : x);
  for (const [k, v] of Object.entries(from)) {
    if (k === 'target' && ok(() => parseTarget(v).r === 2) || (k === 'loss' || k === 'left') && ok(() => parseLoss(v))) out[k] = v;
    else if (v !== '' && isFinite(v) && k in START && typeof START[k] === 'number') out[k] = k === 'd' ? near(SIZES, +v) : k === 'm' ? near(WIDTHS, +v) : k === 'ratio' ? near(RATIOS, +v) : k === 't' ? clip(Math.round(+v), 0, STEPS) : k === 'seed' ? clip(Math.round(+v), 0, 99) : clip(+v, 0, 2);
  }
  return out;
}

/** No more rows than a browser holds with ease. */
const fitting = s => ({ ...s, ratio: RATIOS.findLast(v => v <= s.ratio && v * s.d * s.d <= 8e6) });

const text = (x, y, words, kind = '') => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" class="${kind}">${words}</text>`, path = (kind, d) => `<path class="${kind}" d="${d}"/>`;
const strong = words => `<tspan class="h">${words}</tspan>`, curve = (v, X, Y) => 'M' + v.map((u, i) => `${X(i).toFixed(1)} ${Y(u, i).toFixed(1)}`).join('L');

/** Curves by step, and where the figure stands. */
function bySteps(p, t, title, most, body, below = '') {
  const X = i => p.x + 26 + (p.w - 36) * i / STEPS, base = p.y + p.h - (below ? 40 : 24), Y = v => base - clip(v, 0, most) / most * (base - p.y - 24), wide = X(STEPS) - X(0);
  return text(p.x, p.y + 13, title) + [0, 0.5, 1].map(v => path('l g', `M${X(0)} ${Y(v)}h${wide}`) + text(X(0) - 6, Y(v) + 4, v, 'e')).join('') + path('l', `M${X(t)} ${base}V${p.y + 24}`) + [0, 4, 8, 12, 16].map(i => text(X(i), base + 17, i, 'm')).join('') + (below && text(X(8), base + 34, below, 'm')) + body(X, Y);
}

/** The charts as SVG text: p is the place, S the side, t the step (or a time between two), all every side. */
const CHARTS = {
  plane(p, { shown, name, k }, t, all) {
    const R = Math.min(p.w, p.h - 22) / 2 - 4, x = p.x + p.w / 2, y = p.y + 24 + R, i = Math.floor(t), f = t - i, now = shown[i], next = shown[Math.min(i + 1, STEPS)];
    let dots = '';
    for (let j = 0; j < now.length; j += 2) dots += `M${(x + R * (now[j] + f * (next[j] - now[j]))).toFixed(1)} ${(y - R * (now[j + 1] + f * (next[j + 1] - now[j + 1]))).toFixed(1)}h.01`;
    return text(x, p.y + 13, all.length > 1 ? name : steps(Math.round(t)), 'h m') + `<circle class="l" cx="${x}" cy="${y}" r="${R}"/>` + path('l g', `M${x - R} ${y}h${2 * R}M${x} ${y - R}v${2 * R}`) + path(`n s${k}`, dots) + text(x + 0.62 * R, y - 5, 'u₁', 'm') + text(x + 5, y - 0.62 * R, 'u₂');
  },
  spectrum(p, S, t, all) {
    const { values, edge, outliers, passed } = S.L, most = 1.06 * Math.max(...all.map(({ L }) => Math.max(size([...L.values]), L.edge, all.length < 2 ? size(L.passed.seen) : 0))), X = v => p.x + p.w / 2 * (1 + v / most), base = p.y + p.h - 30, top = p.y + 24, bins = Math.min(60, p.w / 5 | 0);
    const count = v => v.reduce((c, u) => { c[clip(Math.floor((u / most + 1) / 2 * bins), 0, bins - 1)]++; return c; }, new Array(bins).fill(0)), high = Math.max(...all.flatMap(o => count(o.L.values))), wide = p.w / bins, unit = 10 ** Math.floor(Math.log10(0.85 * most)), tick = Math.floor(0.85 * most / unit) * unit;
    return text(p.x, p.y + 13, (p.w > 240 ? 'eigenvalues of S: ' : '') + strong(`${outliers.length || 'none'} stand${outliers.length === 1 ? 's' : ''} out`))
      + path('b', count(values.filter(v => Math.abs(v) <= edge)).map((c, i) => c ? `M${(p.x + i * wide).toFixed(1)} ${base}h${(wide - 1).toFixed(1)}V${(base - c / high * (base - top)).toFixed(1)}h${(1 - wide).toFixed(1)}z` : '').join(''))
      + path('l', `M${p.x} ${base}h${p.w}`) + path('l k', `M${X(-edge)} ${base}V${top}M${X(edge)} ${base}V${top}`)
      + outliers.map(o => path(`c s${S.k}`, `M${X(o.value)} ${base}v-24`) + `<circle class="f${S.k}" cx="${X(o.value)}" cy="${base - 25}" r="4"/>`).join('')
      + (all.length < 2 ? passed.seen.map(v => path(`f${S.k}`, `M${X(v)} ${base + 2}l4 8h-8z`)).join('') : '') + [-tick, 0, tick].map(v => text(X(v), base + 22, fix(v, tick < 0.1 ? 2 : 1), 'm')).join('');
  },
  passed(p, S, t, all) {
    const { z, mean, part, v } = S.L.passed, most = 1.1 * Math.max(...all.map(({ s: o, L: { passed: q } }) => Math.max(size(o.loss === 'mse' ? q.mean.filter((_, i) => Math.abs(q.z[i]) < 2.1) : q.mean), Math.abs(q.part)))), h = p.h - 40, X = u => p.w * (u + 3) / 6, Y = u => h / 2 * (1 - clip(u / most, -9, 9));
    return text(p.x, p.y + 13, (p.w > 285 ? 'label as passed on; of ' : p.w > 230 ? 'label passed on; ' : '') + strong(`degree two: ${fix(part)}`)) + `<svg x="${p.x}" y="${p.y + 22}" width="${p.w}" height="${h}">` + path('l g', `M0 ${Y(0)}h${p.w}`) + path(`c s${S.k}`, curve(mean, i => X(z[i]), Y)) + path('c k', curve(z, i => X(z[i]), u => Y(part * (u * u - 1) / Math.SQRT2))) + '</svg>'
      + [-2, 0, 2].map(u => text(p.x + X(u), p.y + p.h - 4, fix(u, 0), 'm')).join('') + text(p.x + X(1), p.y + p.h - 4, Math.abs(v[1]) < 0.1 ? 'z₁' : Math.abs(v[0]) < 0.1 ? 'z₂' : 'z', 'm');
  },
  curves: (p, S, t) => bySteps(p, t, `alignment ${strong(fix(S.L.aligned[Math.round(t)]))}${p.w > 210 ? `, coverage ${strong(fix(S.L.covered[Math.round(t)]))}` : ''}`, 1, (X, Y) => path(`c s${S.k}`, curve(S.L.aligned, X, Y)) + path(`c k s${S.k}`, curve(S.L.covered, X, Y))),
  errors(p, S, t, all) {
    const known = S.known(), here = S.errors[Math.round(t)];
    return bySteps(p, t, `test error ${here === undefined ? '' : strong(fix(here))}${known.length <= STEPS ? `${p.w > 210 ? ', ' : ' '}${known.length} of ${STEPS + 1}${p.w > 210 ? ' computed' : ''}` : ''}`, 1.1, (X, Y) => path('l k', `M${X(usual(S.s.d))} ${Y(0)}V${Y(1.1)}`) + (known.length ? path(`c s${S.k}`, curve(known, i => X(known[i]), i => Y(S.errors[i]))) : '') + known.map(i => `<circle class="f${S.k}" cx="${X(i)}" cy="${Y(S.errors[i])}" r="${i === Math.round(t) ? 7 : 3.5}"/>`).join(''), all.length > 1 ? '' : 'steps of stage 1');
  },
};
const usual = d => Math.ceil(Math.sqrt(Math.log(d)));

/** The step at which neurons on their way to the circle go round it most evenly. */
function mostEven({ aligned, covered }) {
  const out = covered.map((v, t) => aligned[t] < 0.7 ? 0 : v);
  return out.indexOf(Math.max(...out));
}

/** Where the neurons are, in words, by their numbers. */
function whereabouts(L, t) {
  const { aligned, covered, values, outliers } = L, a = aligned[t], c = covered[t];
  if (!outliers.length) return `${a < 0.45 ? 'are near the centre' : 'do not reach the circle'} (alignment ${fix(a)})`;
  if (a < Math.max(0.55, 1.6 * Math.sqrt(2 / values.length))) return `${a < 0.45 || t === 0 ? 'are near the centre' : 'are half way out'} (alignment ${fix(a)})`;
  if (a < 0.7) return `are on their way to the circle (alignment ${fix(a)})`;
  if (c < 0.05 && outliers.length < 2) return `have gathered along the one direction that is seen (coverage ${fix(c)})`;
  if (c < 0.05) {
    const best = mostEven(L);
    return `have gathered along one line and lost the other direction (coverage ${fix(c)}), which the second layer needs too: each step multiplies the lead of the stronger by ${fix(Math.abs(outliers[0].value / outliers[1].value), 1)}, so stop earlier: ${steps(best)} it is ${fix(covered[best])}`;
  }
  return `${a < 0.9 ? 'come near' : 'reach'} the circle (alignment ${fix(a)})${c < 0.4 ? `, leaning to one direction (coverage ${fix(c)})` : ''}`;
}
const outside = ({ outliers: { length: k }, error }) => k ? `${['', 'one eigenvalue stands', 'two eigenvalues stand'][k] ?? `${k} eigenvalues stand`} out${error > 0.5 && k > 1 ? ', but not those of the hidden plane' : ''}` : 'nothing stands out', seen = L => L.passed.seen.map(v => fix(v)).join(' and ');

/** The sentence below a figure: what is drawn, from its numbers. */
const SAY = {
  losses(all, t) {
    const [one, two] = all, blind = all.map(S => size(S.L.passed.seen) < 0.02), passed = `of degree two, which is all that S can see, they pass on ${all.map(S => fix(S.L.passed.part)).join(' and ')}`;
    const few = all.some((S, k) => !blind[k] && S.L.outliers.length < 2);
    const seeing = all[blind[0] ? 1 : 0].s.loss, how = seeing === 'mse' ? '' : `: ${/pinball|expectile/.test(seeing) ? 'errors above and below weigh differently' : 'large labels are clipped, and the clipped ones have a part of degree two'}`;
    const why = blind[0] !== blind[1] ? few ? `O${passed.slice(1)}: too little for so few rows${one.s.noise > 0.5 ? ' and so much noise' : ''}.${all.some((S, k) => blind[k] && S.L.outliers.length) ? ' What stands out without any is chance.' : ''}` : `Why: ${passed}${how}.` : blind[0] ? 'Neither passes on anything of degree two, which is all that S can see.' : `With endless rows the eigenvalues on the plane are ${seen(one.L)} on the left, ${seen(two.L)} on the right.`;
    const told = [...new Set(all.map(S => `${S.name}: ${outside(S.L)}; ${steps(t)} the neurons ${whereabouts(S.L, t)}.`))].join(' ');
    return told.includes('stop earlier') ? told : `${told} ${why}`;
  },
  explore(all, t) {
    const [one, two] = all.map(({ errors }) => errors[t] === undefined ? 'not yet known' : fix(errors[t]));
    const { errors } = all[1], best = errors.indexOf(Math.min(...errors)), late = all[1].known().length > STEPS && t > best && errors[t] > errors[best] + 0.05;
    return `${SAY.losses(all, t)} Test error, ${steps(t)}: ${one} on the left, ${two} on the right.${late ? ` The least there is ${fix(errors[best])}, ${steps(best)}.` : ''}`;
  },
  spectrum([{ L, name }]) {
    const most = size(L.passed.seen), hidden = L.outliers.length < 2;
    return `${name}, ${many(L.n)} rows: ${outside(L)} of the noise, which ends at ±${fix(L.edge)}. ${most < 0.01 ? 'This loss passes on nothing of degree two: more rows cannot help.' : `With endless rows the hidden directions are at ${seen(L)}${hidden ? ': more rows would narrow the noise' : ''}.`}`;
  },
  steps: (all, t) => `${steps(t)[0].toUpperCase()}${steps(t).slice(1)}: ${all.map(S => `for ${S.s.target} the neurons ${whereabouts(S.L, t)}`).join('; ')}.`,
  stop([S], t) {
    const known = S.known(), here = S.errors[t], best = known.reduce((i, j) => S.errors[j] < S.errors[i] ? j : i, known[0]), least = fix(S.errors[best] ?? 0);
    const rest = known.length <= STEPS ? 'The rest is being computed.' : here > S.errors[best] + 0.05 ? `${t < best ? 'Too early' : 'Too late'}: it is ${least} ${steps(best)}.` : `The least is ${least}, ${steps(best)}.`;
    return `${steps(t)[0].toUpperCase()}${steps(t).slice(1)} the neurons ${whereabouts(S.L, t)}; the test error is ${here === undefined ? 'not yet known' : fix(here)}. ${rest}`;
  },
};

/**
 * Where the state of a figure is kept; `share`: what is copied, how it is written, and what is said where copying is not allowed.
 * @typedef {{read: (figure: Figure) => ?object, write: (figure: Figure) => void, watch: (figure: Figure) => void, share: [string, (figure: Figure) => string, string]}} Host
 */

/** A page keeps it in its address. @type {Host} */
const page = {
  read({ box }) { const [id, rest] = location.hash.slice(1).split('?'); return id === box.id && rest !== undefined ? Object.fromEntries(new URLSearchParams(rest)) : null; },
  write: ({ box, changed }) => history.replaceState(null, '', `#${box.id}${changed.length ? '?' : ''}${new URLSearchParams(changed)}`),
  watch(figure) { addEventListener('hashchange', () => figure.read()); if (location.hash.startsWith(`#${figure.box.id}?`)) figure.box.scrollIntoView(); },
  share: ['link', () => location.href, 'Link is in the address bar'],
};

/** A notebook keeps it in the traits of a widget, by their names in Python. */
const TRAITS = { target: 'target', other: 'left', loss: 'loss', n_per_d: 'ratio', steps: 't', d: 'd', width: 'm', noise: 'noise', seed: 'seed' };
/** @param model of anywidget @returns {Host} */
const notebook = model => {
  let own = false;  // whether a change of the model comes from here
  return {
    read: () => Object.fromEntries(Object.entries(TRAITS).map(([name, key]) => [key, model.get(name)])),
    write({ state }) { own = true; for (const name in TRAITS) model.set(name, state[TRAITS[name]]); own = false; model.save_changes(); },
    watch(figure) { for (const name in TRAITS) model.on(`change:${name}`, () => own || figure.read()); },
    share: ['code', ({ changed }) => `live(${changed.map(([key, v]) => `${Object.keys(TRAITS).find(name => TRAITS[name] === key)}=${JSON.stringify(v)}`).join(', ')})`, 'The browser does not allow it'],
  };
};

class Figure {
  /** @param {HTMLElement & {figure?: Figure}} box @param {string} name */
  constructor(box, name, host = page) {
    this.box = box, this.name = name, this.host = host, this.past = [], this.ids = 0, this.inputs = {}, this.playing = 0;
    this.kind = FIGURES[name], this.base = { ...START, ...this.kind.start }, this.still = matchMedia('(prefers-reduced-motion: reduce)');
    box.id ||= `live-${name}`;
    this.state = fitting({ ...this.base, ...valid(host.read(this) ?? {}) });
    this.t = this.state.t;
    this.sides = this.kind.sides.map((own, k) => ({ own, k: this.kind.sides.length > 1 ? k : 1, errors: [], known() { return range(STEPS + 1).filter(i => this.errors[i] !== undefined); } }));
    this.build();
    new ResizeObserver(() => this.render()).observe(this.pic);
    this.ask();
    this.render();  // the room that the picture will take
    host.watch(this);
  }

  /** To what the host says, if it is another state. */
  read() {
    const found = this.host.read(this), state = found && fitting({ ...this.base, ...valid(found) });
    if (found && Object.keys(state).some(k => state[k] !== this.state[k])) this.go(state);
  }

  get changed() { return Object.entries(this.state).filter(([k, v]) => v !== this.base[k]); }

  knob(key) {
    const show = element('b'), label = { left: 'Loss on the left', loss: this.kind.sides[0].loss ? 'Loss on the right' : 'Loss', m: 'Neurons m', ratio: 'Rows, n/d', t: 'Steps', target: 'Target g', d: 'Dimension d', noise: 'Noise', seed: 'Seed' }[key];
    const list = { ratio: RATIOS, d: SIZES, m: WIDTHS }[key];
    let input, read, write;
    if (key === 'loss' || key === 'left') {
      input = element('select', {}, ...Object.entries(LOSSES).map(([value, text]) => element('option', { value }, text)));
      read = () => input.value;
      write = v => { if (![...input.options].some(o => o.value === v)) input.append(element('option', { value: v }, v)); input.value = v; };
    } else if (key === 'target') {
      const id = `${this.box.id}-targets`;
      input = element('input', { type: 'text', list: id, spellcheck: false, autocomplete: 'off' });
      this.lists = element('datalist', { id }, ...TARGETS.map(value => element('option', { value })));
      read = () => input.value.trim(), write = v => { input.setAttribute('aria-invalid', false); if (read() !== v) input.value = v; };  // a space at the end may be followed by more
    } else {
      const [min, max, step] = list ? [0, list.length - 1, 1] : { t: [0, STEPS, 1], noise: [0, 2, 0.1], seed: [0, 99, 1] }[key];
      input = element('input', { type: 'range', min, max, step });
      read = () => list ? list[+input.value] : +input.value;
      write = v => {
        input.value = list ? list.indexOf(v) : v;
        show.textContent = v;
        if (list) input.setAttribute('aria-valuetext', key === 'ratio' ? `${v}, ${v * this.state.d} rows` : v);
      };
    }
    input.addEventListener('input', () => this.turn(key, read(), input));
    input.addEventListener('change', () => { this.dragging = null; });
    for (const event of ['pointerenter', 'focus']) input.addEventListener(event, () => {
      const others = this.near(key);
      if (others.length) this.sides.forEach((S, side) => S.fresh && S.worker?.postMessage({ id: this.ids, side, s: S.asked, others, known: true }));
    });
    this.inputs[key] = { write, input };
    return element('label', {}, element('span', {}, label, show), input, ...(key === 'target' ? [this.lists] : []));
  }

  build() {
    const button = (text, act, more = {}) => { const e = element('button', { type: 'button', ...more }, text); e.addEventListener('click', act); return e; };
    this.pic = element('div', { className: 'mi-pic' });
    this.svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    this.svg.setAttribute('role', 'img');
    this.wait = element('div', { className: 'mi-wait' });
    this.pic.append(this.svg, this.wait);
    this.say = element('p', { className: 'mi-say', 'aria-live': 'polite' });
    const plays = this.kind.charts.includes('plane');
    this.play = button('', () => this.playing ? this.pause() : this.start(), { className: 'mi-play' });
    this.undo = button('Undo', () => this.past.length && this.go(this.past.pop(), false), { disabled: true });
    const [what, shared, failed] = this.host.share;
    this.share = button(`Copy ${what}`, async () => { this.host.write(this); try { await navigator.clipboard.writeText(shared(this)); this.share.textContent = 'Copied'; } catch { this.share.textContent = failed; } setTimeout(() => { this.share.textContent = `Copy ${what}`; }, 2500); });
    this.stories = Object.entries(this.kind.stories ?? {}).map(([name, change]) => [button(name, () => { this.go({ ...this.base, ...change }); this.next = !this.still.matches; if (!this.wait.textContent) this.show(); }), { ...this.base, ...change }]);
    const tools = element('div', { className: 'mi-row' }, this.undo, button('Reset', () => this.go({ ...this.base })), this.share, element('span', { className: 'mi-row' }, 'Download', ...['SVG', 'PNG', 'CSV', 'JSON'].map(kind => button(kind, () => this.download(kind), { 'aria-label': `Download as ${kind}` }))));
    this.box.setAttribute('role', 'group');
    this.box.setAttribute('aria-label', `Live figure: ${this.kind.title}`);
    this.about = element('p', { className: 'mi-note' });
    const shown = this.stories.length ? [element('div', { className: 'mi-row' }, this.play, ...this.stories.map(([e]) => e)), this.say, this.pic, this.about] : [this.about, this.pic, this.say];  // the first screen has the sentence and the picture
    this.box.replaceChildren(element('p', { className: 'mi-title' }, this.kind.title), ...shown,
      element('div', { className: 'mi-knobs' }, ...(plays && !this.stories.length ? [this.play] : []), ...this.kind.knobs.map(k => this.knob(k))),
      element('details', {}, element('summary', {}, 'More'), element('div', { className: 'mi-knobs' }, ...this.kind.more.map(k => this.knob(k)))), tools, element('p', { className: 'mi-note' }, this.kind.note));
    this.pause();
    this.write();
  }

  write() {
    for (const k in this.inputs) this.inputs[k].write(this.state[k]);
    for (const [e, state] of this.stories) e.setAttribute('aria-pressed', Object.keys(state).every(k => state[k] === this.state[k]));
    this.undo.disabled = !this.past.length;
  }

  /** One knob was turned. */
  turn(key, value, input) {
    this.next = false;
    const bad = key === 'target' && !valid({ target: value }).target;
    if (bad) {
      input.setAttribute('aria-invalid', true);
      let why = 'use both z1 and z2';
      try { parseTarget(value); } catch (error) { why = error.message; }
      this.ids++;  // what is still being computed is no longer wanted
      this.broken = true;
      return this.sign(`not drawn: ${why}`);
    }
    if (this.dragging !== key) this.past.push({ ...this.state });
    this.dragging = key;
    this.go({ ...this.state, [key]: value }, false);
  }

  /** To another state; what depends on rows or loss is asked for anew. */
  go(state, remember = true) {
    if (remember) this.past.push({ ...this.state });
    this.pause();
    const before = this.state;
    state = fitting(state);
    this.state = state, this.t = state.t;
    this.write();
    clearTimeout(this.later);  // browsers allow a hundred addresses in half a minute
    this.later = setTimeout(() => this.host.write(this), 250);
    if (Object.keys(START).some(k => k !== 't' && before[k] !== state[k]) || this.broken) this.ask(); else this.render();
  }

  /** Other places of a slider, the nearest first: where a drag may go. */
  near(key) {
    const all = { ratio: RATIOS, seed: range(100), noise: range(21).map(k => k / 10) }[key] ?? [], at = all.indexOf(this.state[key]);
    return all.map(v => ({ [key]: v })).filter((other, i) => Math.abs(i - at) < (key === 'ratio' ? 99 : 4) && fitting({ ...this.state, ...other }).ratio === (other.ratio ?? this.state.ratio)).sort((x, y) => Math.abs(all.indexOf(x[key]) - at) - Math.abs(all.indexOf(y[key]) - at));
  }

  sign(text) { this.wait.textContent = text; this.pic.classList.toggle('mi-busy', !!text); this.pic.setAttribute('aria-busy', !!text); }

  ask() {
    const id = ++this.ids, begun = performance.now();
    this.broken = false;
    this.sign('computing …');
    this.sides.forEach((S, side) => {
      const { t, left, ...state } = this.state, s = { ...state, ...S.own, T: STEPS };
      if (s.loss === 'left') s.loss = left;
      if (!S.worker) {
        const worker = S.worker = this.kind.errors || !side ? new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }) : this.sides[0].worker;  // the same rows are drawn once; with test errors two are sooner
        worker.onmessage = e => this.answer(this.sides[e.data.side], e.data);
        worker.onerror = e => { e.preventDefault?.(); worker.terminate(); for (const o of this.sides) if (o.worker === worker) o.worker = null; this.broken = true; this.sign('could not compute here; change a knob to try again'); };
      }
      Object.assign(S, { wanted: id, asked: s, fresh: false, begun });
      S.worker.postMessage({ id, side, s, errors: this.kind.errors && [t, ...range(STEPS + 1).filter(i => i !== t)], others: this.near(this.dragging) });
    });
  }

  answer(S, { id, L, t, error, fault, ms }) {
    if (id !== this.ids) return;
    if (fault) { this.broken = true; return this.sign(`could not compute: ${fault}`); }
    if (L) {
      Object.assign(S, { L, s: S.asked, name: this.kind.sides[0].target ? S.asked.target : LOSSES[S.asked.loss] ?? S.asked.loss, fresh: true, errors: [], shown: continuous(L.P) });
      if (!this.sides.every(o => o.fresh)) return;
      this.sign('');
      this.show();
      this.box.dataset.ms = `${Math.round(performance.now() - S.begun)}`;
      this.box.dataset.work = `${Math.round(ms)}`;
    } else {
      S.errors[t] = error;
      this.render();
    }
  }

  /** Draw; after a story was chosen, play it. */
  show() {
    this.render();
    if (this.next) this.start();
    this.next = false;
  }

  start() {
    if (!this.sides.every(S => S.L)) return;
    const goal = this.state.t || 3, each = clip(5000 / goal, 300, 900), begun = performance.now();
    this.play.textContent = '‖ Pause';
    this.say.setAttribute('aria-live', 'off');
    const frame = now => {
      const x = clip((now - begun) / each, 0, goal + 0.001), i = Math.floor(x), f = clip((x - i - 0.25) / 0.75, 0, 1);
      const t = this.still.matches ? i : Math.min(i + f * f * (3 - 2 * f), goal);
      if (t !== this.t) { this.t = t; this.inputs.t.write(Math.round(t)); this.render(); }
      if (x > goal) { this.pause(); this.t = this.state.t || goal; this.inputs.t.write(this.t); this.render(); } else this.playing = requestAnimationFrame(frame);
    };
    this.playing = requestAnimationFrame(frame);
  }

  pause() {
    cancelAnimationFrame(this.playing);
    this.playing = 0;
    this.play.textContent = '▶ Play';
    this.say.setAttribute('aria-live', 'polite');
  }

  /** Where each chart stands, and how high the whole is. @returns {[any[], number]} */
  places(W) {
    const gap = 18, out = [], { charts } = this.kind;
    let y = 0;
    if (this.sides.length > 1) {
      const w = (W - gap) / 2;
      for (const chart of charts) {
        const h = chart === 'plane' ? Math.min(w, 220) + 22 : W < 420 ? 92 : 118;
        this.sides.forEach((S, k) => out.push([chart, S, { x: k * (w + gap), y, w, h }]));
        y += h + 10;
      }
      return [out, y];
    }
    const row = W > 520, left = row ? Math.round((W - gap) * 0.56) : W;
    charts.forEach((chart, k) => {
      const w = row && k ? W - gap - left : left, h = row ? 240 : chart === 'plane' ? 270 : 190;
      out.push([chart, this.sides[0], { x: row && k ? left + gap : 0, y: row ? 0 : y, w, h }]);
      y = row ? h : y + h + 10;
    });
    return [out, y];
  }

  render() {
    const W = Math.floor(this.pic.clientWidth), [places, H] = this.places(W);
    this.svg.setAttribute('viewBox', `0 0 ${W} ${H}`);
    this.svg.style.height = `${H}px`;
    const { s, asked } = this.sides[0], { target, loss, d, ratio } = s ?? asked, own = this.kind.sides[0].target, degrees = [...new Set(target.match(/(?<=h)\d+/g))].sort((a, b) => a - b);
    this.about.textContent = `${own ? 'Two targets' : `Labels y = ${target}`}, with z1 = u₁·x and z2 = u₂·x two hidden directions among ${d}; ${many(Math.round(ratio * d))} rows${own ? `, ${LOSSES[loss] ?? loss}` : ''}.${degrees.length && !own ? ` ${degrees.map(k => `h${k}`).join(' and ')}: the Hermite polynomial${degrees.length > 1 ? 's' : ''} of degree ${degrees.join(' and ')}.` : ''}`;
    if (!W || !this.sides.every(S => S.L)) return;
    this.svg.innerHTML = places.map(([chart, S, p]) => CHARTS[chart](p, S, this.t, this.sides)).join('');
    const words = SAY[this.name](this.sides, Math.round(this.t));
    this.svg.setAttribute('aria-label', `${this.kind.title}. ${words}`);
    if (this.say.textContent !== words) this.say.textContent = words;
  }

  numbers() {
    const rows = [], t = Math.round(this.t);
    for (const S of this.sides) {
      const word = verdict({ found: Math.min(2, S.L.outliers.length), r: 2, better: Math.max(0, ...this.sides.filter(o => o !== S).map(o => Math.min(2, o.L.outliers.length))), error: S.L.error, aligned: S.L.aligned[t], covered: S.L.covered[t] });
      rows.push({ setting: S.s, step: t, verdict: word, edge: S.L.edge, location: S.L.c, eigenvalues: [...S.L.values], alignment: S.L.aligned, coverage: S.L.covered, degree2: S.L.passed.part, errors: S.errors, neurons: [...S.shown[t]] });
    }
    return rows;
  }

  async download(kind) {
    if (!this.sides.every(S => S.L)) return;
    const save = (blob, end) => { const a = element('a', { href: URL.createObjectURL(blob), download: `multiindex-${this.name}.${end}` }); a.click(); setTimeout(() => URL.revokeObjectURL(a.href), 5000); };
    if (kind === 'JSON') return save(new Blob([JSON.stringify(this.numbers(), null, 1)], { type: 'application/json' }), 'json');
    if (kind === 'CSV') {
      const lines = this.numbers().flatMap(({ setting: s, ...r }) => ['eigenvalues', 'alignment', 'coverage', 'errors'].flatMap(q => Array.from(r[q], (v, i) => v === undefined ? [] : [`${s.target},${s.loss},${s.d},${s.ratio},${s.noise},${s.seed},${q},${i},${v}`]).flat()));
      return save(new Blob(['target,loss,d,n_per_d,noise,seed,quantity,index,value\n', lines.join('\n'), '\n'], { type: 'text/csv' }), 'csv');
    }
    const copy = /** @type {SVGSVGElement} */ (this.svg.cloneNode(true)), look = getComputedStyle(this.box), { width, height } = this.svg.getBoundingClientRect();
    let ground = this.box, colour;
    do { colour = getComputedStyle(ground).backgroundColor; ground = ground.parentElement; } while (ground && /, 0\)$|transparent/.test(colour));
    if (/, 0\)$|transparent/.test(colour)) colour = '#fff';
    copy.insertAdjacentHTML('afterbegin', `<style>${DRAWN}</style>`);
    copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
    copy.setAttribute('style', `color:${look.color};--a:${look.getPropertyValue('--a')};--b:${look.getPropertyValue('--b')};background:${colour}`);
    copy.setAttribute('viewBox', `-12 -12 ${width + 24} ${height + 24}`), copy.setAttribute('width', `${width + 24}`), copy.setAttribute('height', `${height + 24}`);
    const file = new Blob([new XMLSerializer().serializeToString(copy)], { type: 'image/svg+xml' });
    if (kind === 'SVG') return save(file, 'svg');
    const image = new Image(), canvas = element('canvas', { width: 2 * width + 48, height: 2 * height + 48 });
    image.src = URL.createObjectURL(file);
    await image.decode();
    canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob(blob => save(blob, 'png'));
  }
}

/** A neuron and its negative are the same feature: of the two, each step shows the one nearer to the step before. */
function continuous(P) {
  const out = [P[0].slice()];
  for (let t = 1; t < P.length; t++) {
    const last = out[t - 1], now = P[t].slice();
    for (let j = 0; j < now.length; j += 2) if (last[j] * now[j] + last[j + 1] * now[j + 1] < 0) { now[j] *= -1; now[j + 1] *= -1; }
    out.push(now);
  }
  return out;
}

if (!document.getElementById('mi-style')) document.head.append(element('style', { id: 'mi-style' }, CSS));
if (!import.meta.url.startsWith('blob:')) for (const box of /** @type {NodeListOf<HTMLElement & {figure?: Figure}>} */ (document.querySelectorAll('.mi-live[data-figure]'))) if (FIGURES[box.dataset.figure]) box.figure ??= new Figure(box, box.dataset.figure);

/** What anywidget calls to show a widget. */
function render({ model, el }) {
  const box = element('div', { id: `live-${Math.random().toString(36).slice(2)}`, className: 'mi-live', 'data-figure': 'explore' });
  el.append(box);
  const figure = box.figure = new Figure(box, 'explore', notebook(model));
  for (const e of box.querySelectorAll('input, select, button, summary')) e.setAttribute('data-lm-suppress-shortcuts', true);  // or arrows would move between JupyterLab's cells
  figure.host.write(figure);  // what is shown may be nearby
  return () => figure.sides.forEach(S => S.worker?.terminate());
}
export default { render };
