// node --test nbs/live/: what the browser computes against what Python wrote to fixtures.json (chapter 50).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import * as core from './core.js';

const F = JSON.parse(readFileSync(new URL('fixtures.json', import.meta.url))), { n, d } = F, h = F.a.length;
const U = Float64Array.from(F.U), W = Float64Array.from(F.W), a = Float64Array.from(F.a), b = Float64Array.from(F.b);
const columns = rows => core.transpose(Float64Array.from(rows), rows.length / d, d), X = columns(F.X), plane = rows => core.product(U, 2, Float64Array.from(rows), rows.length / d, d);
const label = (target, rows) => core.labels(core.parseTarget(target).g, plane(rows), rows.length / d);

/** Equal to one part in a million of the largest. */
function close(found, wanted, what, eps = 1e-6) {
  const [x, y] = [found, wanted].map(v => typeof v === 'number' ? [v] : Array.from(v)), size = Math.max(...y.map(Math.abs), 1e-3);
  assert.equal(x.length, y.length, what);
  x.forEach((v, i) => assert.ok(Math.abs(v - y[i]) <= eps * size, `${what}: entry ${i} is ${v}, Python has ${y[i]}`));
}

for (const fast of [false, true]) for (const c of F.cases) {
  test(`${c.target}, ${c.loss}, ${fast ? 'WebAssembly' : 'plain'}`, () => {
    assert.equal(core.workbench(0, fast).fast, fast);
    const loss = core.parseLoss(c.loss), { c: at, w } = core.labelWeights(label(c.target, F.X), loss), S = core.secondOrder(X, n, d, w), basis = core.tridiagonal(S, d), P = core.powerSteps(basis, W, a, U, 6);
    close(at, c.c, 'location');
    close(S, c.S, 'S');
    close(core.secondOrder(Float32Array.from(X), n, d, w), c.S, 'S in single precision');
    close(core.eigenpairs(basis, basis.Q).values, c.values, 'eigenvalues');
    close(core.bulkEdges(w, n / d), c.edges, 'edge');
    close(P.map(p => core.alignment(p, 2)), c.alignment, 'alignment');
    close(P.map(p => core.coverage(p, 2)), c.coverage, 'coverage');
    close(core.powerNeurons(basis, W, a, 3), c.neurons, 'neurons after three steps');
  });
}

test('one true gradient step', () => {
  const y = label(F.cases.find(c => c.target.startsWith('h2')).target, F.X);
  for (const g of F.gradients) {
    const loss = core.parseLoss(g.loss);
    close(core.gradientStep(X, n, d, y, loss, W.map(v => v / 2), a, loss.location(y), 3), g.W, g.loss);
  }
});

test('readout: decay, predictions, error', () => {
  const c = F.cases.find(c => c.target.startsWith('h2') && c.loss === 'huber:1'), y = label(c.target, F.X), k = F.X_test.length / d, V = Float64Array.from(c.neurons);
  const Phi = core.features(Float64Array.from(F.X), n, d, V, -1, b), f = core.predict(core.features(Float64Array.from(F.X_test), k, d, V, -1, b), k, core.readout(Phi, 2 * h, n, y));
  close(f, F.readout.predictions, 'predictions');
  close(core.relativeError(f, label(c.target, F.X_test)), F.readout.error, 'error');
});

test('targets as text', () => {
  for (const { text, value } of F.read) close(core.parseTarget(text).g(F.z), value, text);
  for (const text of F.refused) assert.throws(() => core.parseTarget(text), /column/, text);
});

test('edge from weights in bins', () => {
  close(core.bulkEdges(Float64Array.from({ length: 6000 }, (_, i) => Math.sin(12.9898 * i) ** 3 + 0.3), F.binned.ratio), F.binned.edges, 'edges');
});

test('the limit of S, by a grid', () => {
  for (const l of F.limits) close([...core.passedOn(l.target, l.loss, l.c).seen].sort((x, y) => x - y), l.seen, `${l.target}, ${l.loss}`, 0.03 / Math.max(...l.seen.map(Math.abs), 1e-3));
});

test('verdicts of the stories, three seeds', () => {
  for (const s of F.stories) {
    for (const seed of [0, 1, 2]) {
      const look = loss => { const k = { target: s.target, loss, d: s.d, ratio: s.ratio, noise: 0, seed, m: 512, T: s.t }; return core.look(k, core.draw(k)); };
      const L = look(s.loss), better = Math.min(2, look(s.other).outliers.length);
      assert.equal(core.verdict({ found: Math.min(2, L.outliers.length), r: 2, better, error: L.error, aligned: L.aligned[s.t], covered: L.covered[s.t] }), s.word, `${JSON.stringify(s)}, seed ${seed}`);
    }
  }
});

test('eigenpairs and products of other sizes', () => {
  for (const size of [1, 2, 3, 17, 90]) {
    const G = core.gaussian(new Float64Array(size * size), core.generator(size)), A = G.map((v, i) => v + G[(i % size) * size + Math.floor(i / size)]), T = core.tridiagonal(A, size), { values, rows } = core.eigenpairs(T, T.Q);
    close(core.product(rows, size, core.product(rows, size, A, size, size), size, size), A.map((_, i) => i % (size + 1) ? 0 : values[i / (size + 1)]), `V A V^T, ${size}`, 1e-12 * size);
  }
  const A = core.gaussian(new Float64Array(7 * 601), core.generator(1)), B = core.gaussian(new Float64Array(300 * 601), core.generator(2));
  const both = f => [true, false, true].map(fast => { core.workbench(0, fast); return f(); });
  close(...both(() => core.product(A, 7, B, 300, 601)).slice(1), 'fast and plain', 1e-13);
  const [fast, plain] = both(() => core.normalRows(40000, 1, 3, 0));
  assert.deepEqual(fast, plain);
  assert.equal(core.eigenpairs(core.tridiagonal(new Float64Array(9), 3), new Float64Array(0)).values[2], 0);
});

test('random numbers: moments to five standard errors, and the same for the same seed', () => {
  const x = core.gaussian(new Float64Array(1e6), core.generator(5)), moment = k => x.reduce((s, v) => s + v ** k, 0) / x.length;
  [[1, 0, 1], [2, 1, 2], [3, 0, 15], [4, 3, 96], [6, 15, 10170]].forEach(([k, mean, variance]) => assert.ok(Math.abs(moment(k) - mean) < 5 * Math.sqrt(variance / x.length), `moment ${k}`));
  assert.deepEqual(core.normalRows(5, 2, 7, 1).slice(0, 3), core.normalRows(3, 2, 7, 1).slice(0, 3));  // more rows begin with the same ones
});
