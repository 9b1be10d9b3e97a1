// node nbs/live/bench.js: how long a first picture takes at d = 200, n = 20 000, m = 512, beside a plain product of matrices in the same run.
import * as core from './core.js';

const s = { target: 'h4(z1)+h4(z2)', loss: 'huber:1', d: 200, ratio: 100, noise: 0, seed: 0, m: 512, T: 16 };
const now = () => { if (typeof process === 'undefined') return performance.now(); const { user, system } = process.cpuUsage(); return (user + system) / 1000; };  // a busy machine does not count
const clock = f => { const start = now(), out = f(); return [now() - start, out]; };

function plainProduct(A, B, C, n) {
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) {
      const a = A[i * n + k], b = k * n, c = i * n;
      for (let j = 0; j < n; j++) C[c + j] += a * B[b + j];
    }
  }
}

/** Rate of C = A B in three plain loops, in multiplications a nanosecond, best of five. */
export function plainRate(n = 400) {
  const [A, B] = [1, 2].map(k => core.gaussian(new Float64Array(n * n), core.generator(k)));
  return n ** 3 / Math.min(...Array.from({ length: 5 }, () => clock(() => plainProduct(A, B, new Float64Array(n * n), n))[0])) / 1e6;
}

/** Milliseconds of each part, the first call (cold) and the best of five; those of the steps alone; and the time of S by plain loops. */
export function bench() {
  const times = Array.from({ length: 5 }, () => { const [rows, data] = clock(() => core.draw(s)), [look, L] = clock(() => core.look(s, data)), [steps] = clock(() => core.powerSteps(L.basis, L.W, L.a, data.U, s.T)); return { rows, look, first: rows + look, steps }; });
  const rate = plainRate(), best = Object.fromEntries(Object.keys(times[0]).map(k => [k, Math.min(...times.map(t => t[k]))]));
  return { cold: times[0], best, rate, plain: s.d * s.ratio * s.d ** 2 / rate / 1e6 };
}

if (typeof process !== 'undefined' && process.argv[1]?.endsWith('bench.js')) {
  const { cold, best, rate, plain } = bench(), ms = v => `${v.toFixed(0)} ms`;
  console.log(`processor time at d = 200, n = 20 000, m = 512; a plain product runs at ${rate.toFixed(2)} multiplications a nanosecond, S would take it ${ms(plain)}`);
  for (const [name, t] of Object.entries({ cold, best })) console.log(`${name}: first picture ${ms(t.first)} (rows ${ms(t.rows)}, S, eigenpairs and all steps ${ms(t.look)}), ${(t.first / plain).toFixed(2)} of S by plain loops; all 17 steps anew ${ms(t.steps)}`);
}
