// The mathematics of the live figures: pure functions, no dependency, no build step.
// Python is the truth; core.test.js compares with what chapter 50 wrote to fixtures.json.
// Rows are kept by column: entry i of column k of X, n rows in d columns, is X[k * n + i].

/** @typedef {Float64Array} Vec */
/** @typedef {Float64Array | Float32Array} Rows */
/** @typedef {{name: string, p: number, slope: (t: number, y: number) => number, location: (y: Vec) => number}} Loss */

// --- Random numbers: sfc32 (Doty-Humphrey), normal by the ziggurat of Marsaglia and Tsang (2000) in 128 layers.

const LAYERS = 128, TAIL = 3.442619855899, AREA = 9.91256303526217e-3, UNIT = 2 ** 24;
const kn = new Float64Array(LAYERS), wn = new Float64Array(LAYERS), fn = new Float64Array(LAYERS);
{
  let x = TAIL, before = TAIL;
  const density = u => Math.exp(-u * u / 2), base = AREA / density(x);
  [kn[0], kn[1], wn[0], wn[LAYERS - 1], fn[0], fn[LAYERS - 1]] = [x / base * UNIT, 0, base / UNIT, x / UNIT, 1, density(x)];
  for (let i = LAYERS - 2; i > 0; i--) {
    x = Math.sqrt(-2 * Math.log(AREA / x + density(x)));
    [kn[i + 1], fn[i], wn[i], before] = [x / before * UNIT, density(x), x / UNIT, x];
  }
}

/** State of a generator for (seed, stream): the same numbers everywhere. @param {number} seed @param {number} stream */
export function generator(seed, stream = 0) {
  const s = new Int32Array([seed, stream, 0x9e3779b9, 1]);
  for (let i = 0; i < 15; i++) bits(s);
  return s;
}

/** 32 random bits. @param {Int32Array} s */
function bits(s) {
  const t = (s[0] + s[1] | 0) + s[3] | 0, c = s[2];
  s[3] = s[3] + 1 | 0;
  s[0] = s[1] ^ s[1] >>> 9;
  s[1] = c + (c << 3) | 0;
  s[2] = (c << 21 | c >>> 11) + t | 0;
  return t;
}

const uniform = s => ((bits(s) >>> 0) + 0.5) / 2 ** 32;

/** Fill with standard normal numbers, rounded to single precision. @template {Rows} T @param {T} out @param {Int32Array} s */
export function gaussian(out, s) {
  const { I, F, normal } = workbench(BASE + 4 * ROOM);
  I.set(s);
  for (let from = 0; from < out.length; from += ROOM) {
    const size = Math.min(ROOM, out.length - from), stop = BASE + 4 * size;
    for (let at = BASE; at < stop;) {
      normal(at, stop);
      at = I[5];
      if ((I[4] & 127) === 0 && Math.abs(I[4] >> 7) >= kn[0]) F[at / 4 - 1] = Math.sign(I[4]) * tail(I);
    }
    out.set(F.subarray(BASE / 4, BASE / 4 + size), from);
  }
  s.set(I.subarray(0, 4));
  return out;
}

function tail(s) {
  let far, y;
  do { far = -Math.log(uniform(s)) / TAIL; y = -Math.log(uniform(s)); } while (2 * y < far * far);
  return TAIL + far;
}

/** n standard normal rows in d columns; more rows begin with the same ones. */
export function normalRows(n, d, seed, stream) {
  const X = new Float32Array(n * d);
  for (let k = 0; k < d; k++) gaussian(X.subarray(k * n, k * n + n), generator(seed, stream * 65536 + k));
  return X;
}

/** r orthonormal rows of length d, by Gram-Schmidt twice. */
export function orthonormal(r, d, seed) {
  const U = gaussian(new Float64Array(r * d), generator(seed, -1));
  for (let i = 0; i < r; i++) {
    const u = U.subarray(i * d, i * d + d);
    for (const _ of [0, 1]) for (let j = 0; j < i; j++) { const v = U.subarray(j * d, j * d + d), c = dot(u, v); u.forEach((_, k) => { u[k] -= c * v[k]; }); }
    const size = Math.sqrt(dot(u, u));
    u.forEach((_, k) => { u[k] /= size; });
  }
  return U;
}

/** m / 2 first-layer weights of length one and their signs: one of each pair of twins. */
export function pairs(m, d, seed) {
  const h = m >> 1, s = generator(seed, -2), W = gaussian(new Float64Array(h * d), s), a = new Float64Array(h);
  for (let j = 0; j < h; j++) {
    const w = W.subarray(j * d, j * d + d), size = Math.sqrt(dot(w, w));
    for (let k = 0; k < d; k++) w[k] /= size;
    a[j] = bits(s) < 0 ? -1 : 1;
  }
  return { W, a };
}

const dot = (u, v) => rowDot(u, 0, v, 0, u.length);

// --- Targets: + - * ** and parentheses over numbers, z1, z2, ... and the normalised Hermite polynomials h2(z1).

/** @param {number} k @param {number} z */
export function hermite(k, z) {
  let below = 0, here = 1;
  for (let j = 0; j < k; j++) { const next = (z * here - Math.sqrt(j) * below) / Math.sqrt(j + 1); below = here, here = next; }
  return here;
}

/** A target written as text: a function of z and its number of variables; throws an Error that names the column. */
export function parseTarget(text) {
  const tokens = [...text.matchAll(/\s*(\*\*|\d*\.?\d+(?:e[-+]?\d+)?|[a-z]+\d*|\S)/gy)].map(m => ({ s: m[1], at: m.index + m[0].length - m[1].length }));
  let i = 0, r = 0;
  const fail = what => { throw new Error(`${what} at column ${(tokens[i]?.at ?? text.length) + 1}`); };
  const take = s => tokens[i]?.s === s && ++i;
  const need = s => take(s) || fail(`"${s}" is missing`);
  const variable = () => {
    const k = +(/^z([1-9]\d*)$/.exec(tokens[i]?.s ?? '')?.[1] ?? fail('a variable such as z1 is missing'));
    if (k > 8) fail('too many variables');
    i++, r = Math.max(r, k);
    return k - 1;
  };
  const leaf = () => {
    const s = tokens[i]?.s ?? fail('something is missing');
    if (take('(')) { const f = sum(); need(')'); return f; }
    if (/^[\d.]/.test(s)) { i++; return () => +s; }
    if (/^h\d+$/.test(s)) {
      const degree = +s.slice(1);
      if (degree > 12) fail('degree above 12');
      i++, need('(');
      const k = variable();
      need(')');
      return z => hermite(degree, z[k]);
    }
    if (/^[a-z]/.test(s) && tokens[i + 1]?.s === '(') fail(`there is no function ${s}, only h1, h2, ...`);
    const k = variable();
    return z => z[k];
  };
  const power = () => {
    const f = leaf();
    if (!take('**')) return f;
    const e = +(/^\d$/.exec(tokens[i]?.s ?? '')?.[0] ?? fail('an exponent from 0 to 9 is missing'));
    i++;
    return z => f(z) ** e;
  };
  const sign = () => { if (take('-')) { const f = sign(); return z => -f(z); } return take('+') ? sign() : power(); };
  const product = () => { let f = sign(); while (take('*')) { const p = f, q = sign(); f = z => p(z) * q(z); } return f; };
  const sum = () => {
    let f = product();
    for (;;) {
      const p = f;
      if (take('+')) { const q = product(); f = z => p(z) + q(z); } else if (take('-')) { const q = product(); f = z => p(z) - q(z); } else return f;
    }
  };
  const g = sum();
  if (i < tokens.length) fail(`"${tokens[i].s}" was not expected`);
  return { g, r };
}

/** g at the rows of Z, r columns of length n, plus noise. */
export function labels(g, Z, n, noise = 0, e = null) {
  const y = new Float64Array(n), r = Z.length / n, z = new Float64Array(r);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < r; k++) z[k] = Z[k * n + i];
    y[i] = g(z) + (noise ? noise * e[i] : 0);
  }
  return y;
}

// --- Losses: slope dl/dt at (t, y), and the location c where the slopes of the labels cancel (chapter 02).

/** "mse", "huber:1", "l1", "logcosh:1", "pinball:0.9" or "expectile:0.9". @returns {Loss} */
export function parseLoss(text) {
  const [name, number] = text.trim().toLowerCase().split(':'), given = number === undefined ? NaN : +number;
  if (number !== undefined && !(given > 0 && given < 1e100)) throw new Error(`"${text}" needs a number above 0`);
  const level = name === 'pinball' || name === 'expectile', p = given || (level ? 0.9 : name === 'huber' || name === 'logcosh' ? 1 : NaN);
  if (level && p >= 1) throw new Error('tau must be below 1');
  const slope = {
    mse: (t, y) => t - y, l1: (t, y) => Math.sign(t - y), huber: (t, y) => Math.min(p, Math.max(-p, t - y)), logcosh: (t, y) => p * Math.tanh((t - y) / p),
    pinball: (t, y) => (Math.sign(t - y) + 1) / 2 - p, expectile: (t, y) => (t < y ? p : 1 - p) * (t - y),
  }[name];
  if (!slope) throw new Error(`unknown loss "${name}"`);
  const location = { mse: y => y.reduce((a, b) => a + b, 0) / y.length, l1: y => quantile(y, 0.5), pinball: y => quantile(y, p) }[name] ?? (y => root(c => { let sum = 0; for (let i = 0; i < y.length; i++) sum += slope(c, y[i]); return sum; }, ...extent(y)));
  return { name, p, slope, location };
}

const extent = y => { let low = Infinity, high = -Infinity; for (const v of y) { low = v < low ? v : low; high = v > high ? v : high; } return [low, high]; };

/** The root of an increasing function, by bisection with steps of regula falsi (Illinois). */
function root(f, low, high) {
  let a = f(low), b = f(high);
  if (a >= 0) return low;
  if (b <= 0) return high;
  for (let k = 0, side = 0; k < 200 && high - low > 1e-15 * (Math.abs(low) + Math.abs(high)); k++) {
    const x = k % 3 === 2 ? (low + high) / 2 : (low * b - high * a) / (b - a), v = f(x);
    if (v === 0) return x;
    if (v < 0) { low = x; a = v; if (side < 0) b /= 2; side = -1; } else { high = x; b = v; if (side > 0) a /= 2; side = 1; }
  }
  return (low + high) / 2;
}

/** The tau-quantile; the midpoint where it is an interval. @param {Vec} y @param {number} tau */
export function quantile(y, tau) {
  const v = y.slice().sort(), n = v.length, k = Math.max(0, Math.min(Math.ceil(n * (tau - 1e-10)) - 1, n - 1));
  return Math.abs((k + 1) / n - tau) < 1e-10 && k + 1 < n ? (v[k] + v[k + 1]) / 2 : v[k];
}

/** omega_i = l'(c, y_i) at the location c. @param {Vec} y @param {Loss} loss */
export function labelWeights(y, loss) {
  const c = loss.location(y);
  return { c, w: y.map(v => loss.slope(c, v)) };
}

// --- Inner loops: in WebAssembly, which is fast from its first call on, where there is SIMD; else in plain code.

const PITCH = 2048 + 64, CHUNK = 256, ROOM = 16384, BASE = 8192, WN = 64, KN = WN + 8 * LAYERS, FN = KN + 8 * LAYERS, GN = FN + 8 * LAYERS;  // in bytes, but for CHUNK rows and ROOM numbers

const WORDS = {  // a number is a constant, a name reads a local variable, with = behind it writes one; op:5 has the offset or lane 5
  loop: [3, 0x40], again: [0x0d, 0], end: [0x0b], block: [2, 0x40], if: [4, 0x40], leave: [0x0d, 2], exp: [0x10, 0], '!': [0x45], '+': [0x6a], '-': [0x6b], '&': [0x71], '^': [0x73], '<<': [0x74], '>>': [0x75], '>>>': [0x76], rotl: [0x77], '<': [0x49],
  load: [0x28, 0], store: [0x36, 0], 'f.load': [0x2b, 0], 'f.store': [0x39, 0], 'f.+': [0xa0], 'f.*': [0xa2], 'f.<': [0x63], 'f.abs': [0x99], 'f.int': [0xb7], 'f.whole': [0xb8], 's.store': [0x38, 0], single: [0xb6], double: [0xbb],
  'v.load': [0xfd, 0, 0], 'v.store': [0xfd, 11, 0], '4.+': [0xfd, 0xe4, 1], '4.*': [0xfd, 0xe6, 1], '4.lane': [0xfd, 0x1f], '2.two': [0xfd, 0x5d, 0], '2.double': [0xfd, 0x5f], '2.all': [0xfd, 0x14], '2.+': [0xfd, 0xf0, 1], '2.-': [0xfd, 0xf1, 1], '2.*': [0xfd, 0xf2, 1], '2.lane': [0xfd, 0x21],
};

/** Sums over a block of 4 rows at a times 2 rows at b, added to 4 x 2 numbers at out, whose rows are `pitch` apart; then the next two rows, as far as last. */
function strip(lanes) {
  const cells = Array.from({ length: 8 }, (_, k) => `v${k}`), each = f => cells.map(f).join(' '), lane = k => lanes === 2 ? `2.lane:${k}` : `4.lane:${k} double`;
  return ['a b bytes last out pitch', `loop ${each(v => `vzero ${v}=`)} a x= b y= a bytes + stop= loop
    y v.load:0 vy= y v.load:${PITCH} vz= ${each((v, k) => `${k % 2 ? '' : `x v.load:${k / 2 * PITCH} vx=`} vx ${k % 2 ? 'vz' : 'vy'} ${lanes}.* ${v} ${lanes}.+ ${v}=`)}
    x 16 + x= y 16 + y= x stop < again end
    out o= ${each((v, k) => `o o f.load:${k % 2 * 8} ${Array.from({ length: lanes }, (_, l) => `${v} ${lane(l)} f.+`).join(' ')} f.store:${k % 2 * 8} ${k % 2 ? 'o pitch + o=' : ''}`)}
    out 16 + out= b ${2 * PITCH} + b= b last < again end`];
}

/** Rows at b, as far as last, times w entry by entry. */
const weigh = lanes => ['b w a bytes last', `loop b x= w y= a z= b bytes + stop= loop z x v.load:0 y v.load:0 ${lanes}.* v.store:0 x 16 + x= y 16 + y= z 16 + z= x stop < again end
  a ${PITCH} + a= b ${PITCH} + b= b last < again end`];

/** The next bits of a generator (a, b, c, k). */
const DRAW = 'a b + k + u= k 1 + k= b b 9 >>> ^ a= c c 3 << + b= c 21 rotl u + c= u';

const ROUTINES = {
  // normal numbers from at to stop, or up to one from the tail; state and bits at 0, place at 20
  normal: ['at stop', `0 load:0 a= 0 load:4 b= 0 load:8 c= 0 load:12 k= block loop
    ${DRAW} bits= bits 127 & 3 << layer= bits 7 >> f.int fh= fh layer f.load:${WN} f.* fx= at fx single s.store:0 at 4 + at=
    fh f.abs layer f.load:${KN} f.< ! if layer ! leave
      layer f.load:${FN} ${DRAW} f.whole layer f.load:${GN} f.* f.+ fx fx f.* 0 f.load:24 f.* exp f.< ! 2 << low= at low - at= end
    at stop < again end end
    0 a store:0 0 b store:4 0 c store:8 0 k store:12 0 bits store:16 0 at store:20`],
  strip2: strip(2), strip4: strip(4), weigh2: weigh(2), weigh4: weigh(4),
  // the numbers at x, in single precision, times the two at u, added to those at z and y
  project: ['x u z y stop', `u f.load:0 2.all vu= u f.load:8 2.all vv= loop x 2.two:0 2.double vx=
    z z v.load:0 vx vu 2.* 2.+ v.store:0 y y v.load:0 vx vv 2.* 2.+ v.store:0 x 8 + x= z 16 + z= y 16 + y= x stop < again end`],
  // rows at a, as far as last, times v
  times: ['a v out bytes pitch last', `loop vzero vs= a x= v y= a bytes + stop= loop x v.load:0 y v.load:0 2.* vs 2.+ vs= x 16 + x= y 16 + y= x stop < again end
    out vs 2.lane:0 vs 2.lane:1 f.+ f.store:0 out 8 + out= a pitch + a= a last < again end`],
  // row i at a becomes a_i - x_i p - y_i v
  subtract: ['a x p y v bytes pitch last', `loop x f.load:0 2.all vx= y f.load:0 2.all vy= a i= p j= v k= a bytes + stop= loop
    i i v.load:0 vx j v.load:0 2.* 2.- vy k v.load:0 2.* 2.- v.store:0 i 16 + i= j 16 + j= k 16 + k= i stop < again end
    x 8 + x= y 8 + y= a pitch + a= a last < again end`],
};

/** The bytes of a module with these routines, whose arguments are whole numbers. Other variables: v... are vectors, f... numbers. */
function assemble() {
  const leb = n => { const out = []; do { out.push(n & 127 | (n > 127 ? 128 : 0)); n >>>= 7; } while (n); return out; }, whole = n => n < 64 ? [n] : [n & 127 | 128, ...whole(n >> 7)];
  const section = (id, ...parts) => { const body = [...leb(parts.length), ...parts.flat()]; return [id, ...leb(body.length), ...body]; }, name = s => [s.length, ...new TextEncoder().encode(s)];
  const codes = Object.values(ROUTINES).map(([given, text]) => {
    const names = given.split(' '), count = names.length, place = s => { if (!names.includes(s)) names.push(s); return names.indexOf(s); };
    const body = text.trim().split(/\s+/).flatMap(word => {
      const [op, k] = word.split(':');
      return WORDS[op] ? [...WORDS[op], ...(k ? leb(+k) : [])] : /^\d/.test(op) ? [0x41, ...whole(+op)] : op.endsWith('=') ? [0x21, place(op.slice(0, -1))] : [0x20, place(op)];
    });
    const own = names.slice(count).flatMap(s => [1, { v: 0x7b, f: 0x7c }[s[0]] ?? 0x7f]), all = [...leb(own.length / 2), ...own, ...body, 0x0b];
    return { count, code: [...leb(all.length), ...all] };
  });
  return new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...section(1, [0x60, 1, 0x7c, 1, 0x7c], ...codes.map(({ count }) => [0x60, count, ...Array(count).fill(0x7f), 0])), ...section(2, [...name('m'), ...name('exp'), 0, 0], [...name('m'), ...name('m'), 2, 0, 1]),
    ...section(3, ...codes.map((_, k) => k + 1)), ...section(7, ...Object.keys(ROUTINES).map((s, k) => [...name(s), 0, k + 1])), ...section(10, ...codes.map(({ code }) => code))]);
}

/** The same in plain code. @param {ArrayBuffer} buffer */
function plain(buffer) {
  const I = new Int32Array(buffer), F = new Float32Array(buffer), D = new Float64Array(buffer);
  const tiles = (M, size) => (a, b, bytes, last, out, pitch) => {
    const row = PITCH / size, n = bytes / size;
    for (let p = b / size, o = out / 8; p < last / size; p += 2 * row, o += 2) for (let k = 0; k < 8; k++) D[o + (k >> 1) * pitch / 8 + (k & 1)] += rowDot(M, a / size + (k >> 1) * row, M, p + (k & 1) * row, n);
  };
  const weighed = (M, size) => (b, w, a, bytes, last) => { for (; b < last; b += PITCH, a += PITCH) for (let k = 0; k < bytes / size; k++) M[a / size + k] = M[b / size + k] * M[w / size + k]; };
  return {
    normal(at, stop) {
      while (at < stop) {
        const u = bits(I), layer = u & 127, x = (u >> 7) * wn[layer];
        F[at / 4] = x, at += 4, I[4] = u;
        if (Math.abs(u >> 7) < kn[layer]) continue;
        if (!layer) break;
        if (fn[layer] + uniform(I) * (fn[layer - 1] - fn[layer]) >= Math.exp(-x * x / 2)) at -= 4;
      }
      I[5] = at;
    },
    strip2: tiles(D, 8), strip4: tiles(F, 4), weigh2: weighed(D, 8), weigh4: weighed(F, 4),
    project(x, u, z, y, stop) { for (; x < stop; x += 4, z += 8, y += 8) { D[z / 8] += D[u / 8] * F[x / 4]; D[y / 8] += D[u / 8 + 1] * F[x / 4]; } },
    times(a, v, out, bytes, pitch, last) { for (; a < last; a += pitch, out += 8) D[out / 8] = rowDot(D, a / 8, D, v / 8, bytes / 8); },
    subtract(a, x, p, y, v, bytes, pitch, last) { for (; a < last; a += pitch, x += 8, y += 8) for (let k = 0; k < bytes / 8; k++) D[a / 8 + k] -= D[x / 8] * D[p / 8 + k] + D[y / 8] * D[v / 8 + k]; },
  };
}

let engine = null;

/** Routines and a memory of so many bytes, whose first hold a generator and its tables. `fast`: whether in WebAssembly. @param {number} bytes */
export function workbench(bytes, fast = engine?.fast ?? true) {
  if (engine?.fast === fast && engine.D.byteLength >= bytes) return engine;
  const pages = Math.ceil(Math.max(bytes, BASE) / 65536);
  let memory, routines;
  try {
    if (!fast) throw 0;
    ({ memory, routines } = engine?.memory ? engine : { memory: new WebAssembly.Memory({ initial: 64 }), routines: null });
    routines ??= new WebAssembly.Instance(new WebAssembly.Module(assemble()), { m: { m: memory, exp: Math.exp } }).exports;
    memory.grow(Math.max(0, pages - memory.buffer.byteLength / 65536));
  } catch { fast = false; }  // no WebAssembly, no SIMD, or a policy against it
  const buffer = fast ? memory.buffer : new ArrayBuffer(65536 * pages), D = new Float64Array(buffer);
  engine = { fast, memory, routines, ...(fast ? routines : plain(buffer)), I: new Int32Array(buffer), F: new Float32Array(buffer), D };
  D.set([-0.5], 3), D.set([wn, kn, fn.map((v, k) => v + (fn[k - 1] - v) / 2 ** 33), fn.map((v, k) => (fn[k - 1] - v) / 2 ** 32)].flatMap(v => [...v]), WN / 8);
  return engine;
}

/**
 * sum_k w_k A_ik B_jk, p x q, for A of p and B of q rows of length n; only i <= j, mirrored, if B is A. Weights are for B = A. Sums over a block are in single precision if A is.
 * @param {Rows} A @param {number} p @param {Rows} B @param {number} q @param {number} n @param {Vec | null} w @returns {Vec}
 */
export function product(A, p, B, q, n, w = null) {
  const same = A === B, high = Math.ceil(p / 4) * 4, chunk = same ? high : CHUNK, unit = A instanceof Float32Array ? 4 : 8, block = 2048 / unit, b0 = BASE + (high + 1) * PITCH, w0 = BASE + high * PITCH, o0 = b0 + chunk * PITCH;
  const E = workbench(o0 + high * chunk * 8), { D } = E, [M, strip, weigh] = unit === 4 ? [E.F, E.strip4, E.weigh4] : [D, E.strip2, E.weigh2], out = new Float64Array(p * q), a0 = same && !w ? b0 : BASE;
  for (let j0 = 0; j0 < q; j0 += chunk) {
    const wide = Math.min(chunk, q - j0), last = b0 + (wide + (wide & 1)) * PITCH;
    D.fill(0, o0 / 8, o0 / 8 + high * chunk);
    for (let k = 0; k < n; k += block) {
      const size = Math.min(block, n - k), bytes = Math.ceil(size * unit / 16) * 16;
      const copy = (from, at, to) => { M.set(from.subarray(at + k, at + k + size), to / unit); if (size < block) M.fill(0, to / unit + size, (to + bytes) / unit); };
      if (!same) for (let i = 0; i < p; i++) copy(A, i * n, a0 + i * PITCH);
      for (let j = 0; j < wide; j++) copy(B, (j0 + j) * n, b0 + j * PITCH);
      if (w) copy(w, 0, w0), weigh(b0, w0, a0, bytes, last);
      for (let i = 0; i < high; i += 4) { const j = same ? i : 0; if (j < wide) strip(a0 + i * PITCH, b0 + j * PITCH, bytes, last, o0 + 8 * (i * chunk + j), 8 * chunk); }
    }
    for (let i = 0, at = o0 / 8; i < p; i++, at += chunk) out.set(D.subarray(at, at + wide), i * q + j0);
  }
  if (same) for (let i = 0; i < p; i++) for (let j = 0; j < i; j++) out[i * q + j] = out[j * q + i];
  return out;
}

/** S = (1/n) sum_i w_i x_i x_i^T. @param {Rows} X @param {number} n @param {number} d @param {Vec} w */
export const secondOrder = (X, n, d, w) => product(X, d, X, d, n, w.map(v => v / n));

/** The transpose of p rows of length q. */
export function transpose(A, p, q) {
  const out = new Float64Array(p * q);
  for (let i0 = 0; i0 < p; i0 += 32) for (let j = 0; j < q; j++) for (let i = i0; i < Math.min(i0 + 32, p); i++) out[j * p + i] = A[i * q + j];
  return out;
}

// --- Eigenpairs of a symmetric matrix: Householder to tridiagonal form, then QL with implicit shifts (Bowdler et al. 1968).

// Small functions for the inner loops: an engine makes those fast after a few calls.
function rowDot(A, at, B, from, n) {  // four sums, so that none waits for the one before
  let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  const end = at + n, most = end - 3;
  for (; at < most; at += 4, from += 4) { s0 += A[at] * B[from]; s1 += A[at + 1] * B[from + 1]; s2 += A[at + 2] * B[from + 2]; s3 += A[at + 3] * B[from + 3]; }
  for (; at < end; at++, from++) s0 += A[at] * B[from];
  return s0 + s1 + (s2 + s3);
}
function rotate(Q, at, n, c, s) { for (let x = at, y = at + n, end = y; x < end; x++, y++) { const t = Q[y], u = Q[x]; Q[y] = s * u + c * t; Q[x] = c * u - s * t; } }

/**
 * An orthonormal basis, the rows of Q, in which S is tridiagonal: `diag` on the diagonal of Q S Q^T and `off` beside it.
 * @param {Vec} S @param {number} n @returns {{diag: Vec, off: Vec, Q: Vec}}
 */
export function tridiagonal(S, n) {
  const pitch = n + (n & 1), size = n * pitch, { D, times, subtract } = workbench(BASE + 8 * (2 * size + 2 * pitch)), off = new Float64Array(n), Q = new Float64Array(n * n);
  const A = BASE / 8, V = A + size, p = V + size, zero = p + pitch;  // V: the vectors of the reflections, row k zero as far as entry k
  D.fill(0, A, zero + pitch);
  for (let i = 0; i < n; i++) D.set(S.subarray(i * n, i * n + n), A + i * pitch);
  const below = k => ({ from: k + 1 & ~1, v: V + k * pitch, a: 8 * (A + (k + 1) * pitch + (k + 1 & ~1)), bytes: 8 * (pitch - (k + 1 & ~1)), last: 8 * (A + size) });
  for (let k = 0; k < n - 2; k++) {  // row k beyond the diagonal becomes (off_k, 0, ..., 0)
    const { from, v, a, bytes, last } = below(k), row = A + k * pitch, length = Math.sqrt(rowDot(D, row + k + 1, D, row + k + 1, n - k - 1));
    off[k] = D[row + k + 1] > 0 ? -length : length;
    if (!length) continue;
    const scale = 1 / Math.sqrt(length * (length + Math.abs(D[row + k + 1])));  // H = I - v v^T, v^T v = 2
    for (let i = k + 1; i < n; i++) D[v + i] = D[row + i] * scale;
    D[v + k + 1] -= off[k] * scale;
    D[p + from] = 0;
    times(a, 8 * (v + from), 8 * (p + k + 1), bytes, 8 * pitch, last);
    const inner = rowDot(D, p + k + 1, D, v + k + 1, n - k - 1) / 2;
    for (let i = k + 1; i < n; i++) D[p + i] -= inner * D[v + i];
    subtract(a, 8 * (v + k + 1), 8 * (p + from), 8 * (p + k + 1), 8 * (v + from), bytes, 8 * pitch, last);
  }
  if (n > 1) off[n - 2] = D[A + (n - 1) * pitch + n - 2];
  const diag = off.map((_, i) => D[A + i * pitch + i]);
  D.fill(0, A, V);
  for (let i = 0; i < n; i++) D[A + i * pitch + i] = 1;
  for (let k = n - 3; k >= 0; k--) {
    const { from, v, a, bytes, last } = below(k);
    times(a, 8 * (v + from), 8 * (p + k + 1), bytes, 8 * pitch, last);
    subtract(a, 8 * (p + k + 1), 8 * (v + from), 8 * (zero + k + 1), 8 * (v + from), bytes, 8 * pitch, last);
  }
  for (let i = 0; i < n; i++) Q.set(D.subarray(A + i * pitch, A + i * pitch + n), i * n);
  return { diag, off, Q };
}

/**
 * Eigenvalues, ascending, and B, n rows of coordinates in the basis, in that of the eigenvectors: from Q itself, the eigenvectors as rows.
 * @param {{diag: Vec, off: Vec}} T @param {Vec} B @returns {{values: Vec, rows: Vec}}
 */
export function eigenpairs({ diag, off }, B) {
  const n = diag.length, k = B.length / n, values = diag.slice(), e = off.slice(), R = B.slice();
  for (let l = 0; l < n; l++) {
    for (let round = 0; ; round++) {
      let m = l;
      while (m < n - 1 && Math.abs(e[m]) > 2 ** -52 * (Math.abs(values[m]) + Math.abs(values[m + 1]))) m++;
      if (m === l) break;
      if (round > 60) throw new Error('the eigenvalues did not settle');
      let g = (values[l + 1] - values[l]) / (2 * e[l]), r = Math.hypot(g, 1), s = 1, c = 1, q = 0, i = m - 1;
      g = values[m] - values[l] + e[l] / (g + (g < 0 ? -r : r));
      for (; i >= l; i--) {
        const f = s * e[i], b = c * e[i];
        e[i + 1] = r = Math.sqrt(f * f + g * g);
        if (r === 0) { values[i + 1] -= q; e[m] = 0; break; }
        s = f / r; c = g / r; g = values[i + 1] - q;
        r = (values[i] - g) * s + 2 * c * b;
        values[i + 1] = g + (q = s * r);
        g = c * r - b;
        rotate(R, i * k, k, c, s);
      }
      if (r === 0 && i >= l) continue;
      values[l] -= q; e[l] = g; e[m] = 0;
    }
  }
  const order = [...values.keys()].sort((i, j) => values[i] - values[j]), rows = new Float64Array(n * k);
  order.forEach((from, to) => rows.set(R.subarray(from * k, from * k + k), to * k));
  return { values: values.slice().sort(), rows };
}

// --- Where the bulk of S ends, from the weights alone (chapter 28; Silverstein and Bai 1995).

/** Lower and upper edge for weights w and ratio n / d. @param {Vec} w @returns {[number, number]} */
export function bulkEdges(w, ratio) {
  const sorted = w.slice().sort(), N = sorted.length, tail = 300, bins = 2000, t = [], p = [];
  const all = N <= 2 * tail + bins;
  for (let i = 0, k = 0; i < N;) {  // bins of equal weight; the ends keep their own points
    let next = i + 1;
    if (!all && i >= tail && i < N - tail) next = Math.max(next, Math.floor(tail + (N - 2 * tail) * ++k / bins));
    let sum = 0;
    for (let j = i; j < next; j++) sum += sorted[j];
    t.push(sum / (next - i)), p.push((next - i) / N);
    i = next;
  }
  const most = Math.max(Math.abs(sorted[0]), Math.abs(sorted[N - 1]));
  const edge = side => {
    const extreme = side < 0 ? sorted[N - 1] : -sorted[0], end = extreme > 0 ? side / extreme * (1 - 1e-12) : side * 1e9 / most;
    const excess = u => { let sum = 0; for (let i = 0; i < t.length; i++) { const x = t[i] * u / (1 + t[i] * u); sum += p[i] * x * x; } return ratio * sum - 1; };
    if (!(excess(end) >= 0)) return 0;
    const u = side * Math.exp(root(x => excess(side * Math.exp(x)), Math.log(1e-9 / most), Math.log(Math.abs(end))));
    return -1 / (ratio * u) + t.reduce((sum, v, i) => sum + p[i] * v / (1 + u * v), 0);
  };
  return [edge(1), edge(-1)];
}

// --- Stage 1.

/** A row of C, in the basis, times `scale` S. */
function timesS({ diag, off }, C, at, n, scale) {
  for (let k = 0, before = 0; k < n; k++) {
    const here = C[at + k];
    C[at + k] = (before + diag[k] * here + (k < n - 1 ? off[k] * C[at + k + 1] : 0)) * scale;
    before = off[k] * here;
  }
}

/**
 * Power steps in the basis where S is tridiagonal: coordinates along the rows of U of one neuron of each pair, at length one, after 0..T steps.
 * @param {ReturnType<typeof tridiagonal>} basis @param {Vec} W h rows @param {Vec} a their signs @param {Vec} U orthonormal rows
 * @returns {Vec[]} entry t holds h x r coordinates
 */
export function powerSteps(basis, W, a, U, T) {
  const d = basis.diag.length, h = a.length, r = U.length / d, C = product(W, h, basis.Q, d, d), V = product(U, r, basis.Q, d, d);
  const size = new Float64Array(h).fill(1);
  return Array.from({ length: T + 1 }, (_, t) => {
    const out = new Float64Array(h * r);
    for (let j = 0; j < h; j++) {
      if (t) timesS(basis, C, j * d, d, -a[j] / size[j]);
      size[j] = Math.sqrt(rowDot(C, j * d, C, j * d, d)) || 1;
      for (let i = 0; i < r; i++) out[j * r + i] = rowDot(C, j * d, V, i * d, d) / size[j];
    }
    return out;
  });
}

/** The neurons themselves after t steps, the median one of length one. */
export function powerNeurons(basis, W, a, t) {
  const d = basis.diag.length, h = a.length, C = product(W, h, basis.Q, d, d), size = basis.diag.reduce((most, v, k) => Math.max(most, Math.abs(v) + Math.abs(basis.off[k])), 0) || 1;
  for (let j = 0; j < h; j++) for (let k = 0; k < t; k++) timesS(basis, C, j * d, d, -a[j] / size);
  const out = product(C, h, transpose(basis.Q, d, d), d, d), middle = median(new Float64Array(h).map((_, j) => Math.sqrt(rowDot(out, j * d, out, j * d, d))));
  return out.map(v => v / middle);
}

/** The lower median, as in torch. @param {Vec} v */
export const median = v => v.slice().sort()[(v.length - 1) >> 1];

/** Median alignment: the length of a neuron's part in the plane. @param {Vec} P h x r */
export function alignment(P, r) {
  return median(new Float64Array(P.length / r).map((_, j) => Math.min(1, Math.sqrt(rowDot(P, j * r, P, j * r, r)))));
}

/** Coverage: r times the smallest share of the squared length in any direction. @param {Vec} P h x r */
export function coverage(P, r) {
  const G = new Float64Array(r * r);
  for (let j = 0; j < P.length; j += r) for (let i = 0; i < r; i++) for (let k = 0; k < r; k++) G[i * r + k] += P[j + i] * P[j + k];
  const { values } = eigenpairs(tridiagonal(G, r), G), total = values.reduce((x, y) => x + y, 0);
  return total > 1e-24 * P.length ? Math.max(0, r * values[0] / total) : 0;
}

/** One true gradient step of f = c + sum a_j (1 - cos(w_j x)), all m neurons, with decay 1 / eta: w <- -eta grad. */
export function gradientStep(X, n, d, y, loss, W, a, c, eta) {
  const m = a.length, H = product(W, m, transpose(X, d, n), n, d), slope = new Float64Array(n).fill(c);
  for (let j = 0; j < m; j++) for (let i = 0; i < n; i++) slope[i] += a[j] * (1 - Math.cos(H[j * n + i]));
  for (let i = 0; i < n; i++) slope[i] = -eta / n * loss.slope(slope[i], y[i]);
  for (let j = 0; j < m; j++) for (let i = 0; i < n; i++) H[j * n + i] = a[j] * slope[i] * Math.sin(H[j * n + i]);
  return product(H, m, X, d, n);
}

// --- Stage 2.

/** phi_j(x) = 1 - cos(w_j x + b_j), m rows of length n; the neurons come in pairs w, s w that share a product. R: rows of X. */
export function features(R, n, d, W, twin, b) {
  const h = W.length / d, H = product(W, h, R, n, d), Phi = new Float64Array(2 * h * n);
  for (let j = 0; j < h; j++) {
    const one = b[j], two = b[2 * h - 1 - j], at = j * n, other = (2 * h - 1 - j) * n;
    for (let i = 0; i < n; i++) {
      Phi[at + i] = 1 - Math.cos(H[at + i] + one);
      Phi[other + i] = 1 - Math.cos(twin * H[at + i] + two);
    }
  }
  return Phi;
}

/** Solve (G + decay I) x = g by Cholesky. @param {Vec} G @param {Vec} g */
export function solveRidge(G, g, decay) {
  const m = g.length, L = G.slice(), x = g.slice();
  for (let j = 0; j < m; j++) {
    for (let i = j; i < m; i++) {
      let sum = L[i * m + j] + (i === j ? decay : 0);
      for (let k = 0, u = i * m, v = j * m; k < j; k++) sum -= L[u++] * L[v++];
      L[i * m + j] = i === j ? Math.sqrt(Math.max(sum, 1e-300)) : sum / L[j * m + j];
    }
  }
  for (let i = 0; i < m; i++) { for (let k = 0; k < i; k++) x[i] -= L[i * m + k] * x[k]; x[i] /= L[i * m + i]; }
  for (let i = m - 1; i >= 0; i--) { for (let k = i + 1; k < m; k++) x[i] -= L[k * m + i] * x[k]; x[i] /= L[i * m + i]; }
  return x;
}

/** The second layer on all rows, with the decay that predicts the last quarter best, and the constant. @param {Vec} Phi m x n @param {Vec} y */
export function readout(Phi, m, n, y) {
  const mean = y.reduce((u, v) => u + v, 0) / n, t = y.map(v => v - mean), cut = Math.floor(3 * n / 4), part = (v, from, to) => {
    const out = new Float64Array(m * (to - from));
    for (let j = 0; j < m; j++) out.set(v.subarray(j * n + from, j * n + to), j * (to - from));
    return out;
  };
  const moments = (F, k, s) => ({ G: product(F, m, F, m, k).map(v => v / k), g: product(F, m, s, 1, k).map(v => v / k) });
  const first = moments(part(Phi, 0, cut), cut, t.slice(0, cut)), last = moments(part(Phi, cut, n), n - cut, t.slice(cut)), share = cut / n;
  let square = 0, best = Infinity, decay = 0;
  for (const v of Phi) square += v * v;
  for (let k = 0; k < 9; k++) {  // |F a - t|^2 = a G a - 2 g a + |t|^2 on the quarter that was left out
    const x = solveRidge(first.G, first.g, square / Phi.length * 10 ** -k);
    let error = 0;
    for (let i = 0; i < m; i++) error += x[i] * (dot(last.G.subarray(i * m, i * m + m), x) - 2 * last.g[i]);
    if (error < best) [best, decay] = [error, square / Phi.length * 10 ** -k];
  }
  const both = (u, v) => u.map((x, i) => share * x + (1 - share) * v[i]);
  return { c: mean, a: solveRidge(both(first.G, last.G), both(first.g, last.g), decay), decay };
}

/** f = c + Phi^T a at n rows. */
export function predict(Phi, n, { c, a }) {
  const f = new Float64Array(n).fill(c);
  for (let j = 0; j < a.length; j++) for (let i = 0; i < n; i++) f[i] += a[j] * Phi[j * n + i];
  return f;
}

/** Mean squared error over the variance of y. */
export function relativeError(f, y) {
  const n = y.length, mean = y.reduce((u, v) => u + v, 0) / n;
  let error = 0, variance = 0;
  for (let i = 0; i < n; i++) { error += (f[i] - y[i]) ** 2; variance += (y[i] - mean) ** 2; }
  return error / n / (variance / (n - 1));
}

// --- The whole of one setting, as a figure shows it.

/** @typedef {{target: string, loss: string, d: number, ratio: number, noise: number, seed: number, m: number, T: number}} Setting */

/** The rows of X along two directions, the rows of U. @param {Rows} X @returns {Vec} */
function along(X, n, d, U) {
  const even = n + (n & 1), x = BASE + 16, z = x + 8 * even, { D, F, project } = workbench(z + 16 * even);
  D.fill(0, BASE / 8, z / 8 + 2 * even);
  for (let k = 0; k < d; k++) {
    F.set(X.subarray(k * n, k * n + n), x / 4), D[BASE / 8] = U[k], D[BASE / 8 + 1] = U[d + k];
    project(x, BASE, z, z + 8 * even, x + 4 * even);
  }
  const Z = new Float64Array(2 * n);
  for (const k of [0, 1]) Z.set(D.subarray(z / 8 + k * even, z / 8 + k * even + n), k * n);
  return Z;
}

/** Rows, labels and hidden directions of a setting; X may be at hand. @param {Setting} s */
export function draw(s, stream = 0, n = Math.round(s.ratio * s.d), X = normalRows(n, s.d, s.seed, stream)) {
  const { g } = parseTarget(s.target), U = orthonormal(2, s.d, s.seed), Z = along(X, n, s.d, U);
  const e = s.noise ? gaussian(new Float64Array(n), generator(s.seed, -3 - stream)) : null;
  return { U, X, n, y: labels(g, Z, n, s.noise, e) };
}

/** Spectrum, edge (a fifth beyond the bulk, as in chapter 0a), outliers and neurons by step. @param {Setting} s @param {ReturnType<typeof draw>} data */
export function look(s, { U, X, n, y }) {
  const loss = parseLoss(s.loss), { c, w } = labelWeights(y, loss), basis = tridiagonal(secondOrder(X, n, s.d, w), s.d), { W, a } = pairs(s.m, s.d, s.seed);
  const { values, rows } = eigenpairs(basis, product(basis.Q, s.d, U, 2, s.d)), edge = 1.2 * Math.max(...bulkEdges(w, n / s.d).map(Math.abs)), P = powerSteps(basis, W, a, U, s.T);
  const along = i => [...rows.subarray(2 * i, 2 * i + 2)], order = [...values.keys()].sort((i, j) => Math.abs(values[j]) - Math.abs(values[i]));
  const inside = order.slice(0, 2).reduce((sum, i) => sum + dot(along(i), along(i)), 0);
  return {
    n, c, basis, W, a, edge, values, P, outliers: order.filter(i => Math.abs(values[i]) > edge).map(i => ({ value: values[i], along: along(i) })),
    error: Math.sqrt(Math.max(0, 1 - inside / 2)), aligned: P.map(p => alignment(p, 2)), covered: P.map(p => coverage(p, 2)),
  };
}

/** Test error after t steps: `stage2` and `test` are draws of the same setting. Biases are standard normal. */
export function testError(s, { basis, W, a }, stage2, test, t) {
  const b = gaussian(new Float64Array(s.m), generator(s.seed, -9)), twin = t % 2 ? -1 : 1, V = powerNeurons(basis, W, a, t);
  const Phi = D => features(D.R ??= transpose(D.X, s.d, D.n), D.n, s.d, V, twin, b);
  return relativeError(predict(Phi(test), test.n, readout(Phi(stage2), s.m, stage2.n, stage2.y)), test.y);
}

/** The word of chapter 05 for what is seen; `better` is the number of directions that the other loss shows. */
export function verdict({ found, r, better, error, aligned, covered }) {
  if (found < r) return better > found ? 'blind-loss' : found ? 'partial-signal' : 'too-few-samples';
  if (error > 0.5) return 'too-few-samples';
  return aligned < 0.7 ? 'too-few-steps' : covered < 0.05 ? 'too-many-steps' : 'recovered';
}

/**
 * What the loss passes on of a label along one direction of the plane: E[-l'(c, y) | v z], its second-degree part, and the direction v, in which that part is largest.
 * @returns {{v: number[], z: number[], mean: number[], part: number, seen: number[]}} `seen`: eigenvalues of the limit of S in the plane, the larger first
 */
export function passedOn(target, lossText, c) {
  const { g } = parseTarget(target), loss = parseLoss(lossText), grid = Array.from({ length: 97 }, (_, i) => (i - 48) / 8), p = grid.map(z => Math.exp(-z * z / 2));
  const total = p.reduce((x, y) => x + y), M = [0, 0, 0];
  const weight = (x, y) => -loss.slope(c, g([x, y]));
  grid.forEach((x, i) => grid.forEach((y, j) => { const q = p[i] * p[j] / total ** 2 * weight(x, y); M[0] += q * (x * x - 1); M[1] += q * x * y; M[2] += q * (y * y - 1); }));
  const turn = Math.hypot(M[0] - M[2], 2 * M[1]) < 1e-3 ? 0 : Math.atan2(2 * M[1], M[0] - M[2]) / 2, form = f => M[0] * Math.cos(f) ** 2 + M[1] * Math.sin(2 * f) + M[2] * Math.sin(f) ** 2;
  const f = Math.abs(form(turn)) >= Math.abs(form(turn + Math.PI / 2)) - 1e-9 ? turn : turn + Math.PI / 2, v = [Math.cos(f), Math.sin(f)];
  const z = grid.filter(x => Math.abs(x) <= 3), fine = Array.from({ length: 385 }, (_, i) => (i - 192) / 32), q = fine.map(x => Math.exp(-x * x / 2)), all = q.reduce((x, y) => x + y);  // finer, since a slope may jump
  const mean = z.map(x => fine.reduce((sum, y, j) => sum + q[j] / all * weight(v[0] * x - v[1] * y, v[1] * x + v[0] * y), 0));
  return { v, z, mean, part: form(f) / Math.SQRT2, seen: [-form(f), -form(f + Math.PI / 2)] };
}
