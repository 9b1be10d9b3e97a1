// One panel of a figure, off the page's thread. The newest request wins; every request that is still the newest is answered, if only by an error.
import * as core from './core.js';

let newest = 0;
const kept = new Map();  // the last few results by setting
const pause = () => new Promise(go => setTimeout(go));  // lets a newer request in

function keep(key, make) {
  if (!kept.has(key)) {
    if (kept.size > 5) kept.delete(kept.keys().next().value);
    kept.set(key, make());
  }
  return kept.get(key);
}

async function answer({ id, s, errors }) {
  const rows = [s.target, s.d, s.ratio, s.noise, s.seed].join(), data = stream => keep(`${rows} ${stream}`, () => core.draw(s, stream, stream === 2 ? 3000 : undefined));
  const start = performance.now(), first = data(0);
  await pause();
  if (id !== newest) return;
  const L = keep(`${rows} ${s.loss} ${s.m}`, () => core.look(s, first)), { eig, W, a, length, ...shown } = L;
  postMessage({ id, L: { ...shown, passed: core.passedOn(s.target, s.loss, L.c) }, ms: performance.now() - start });
  for (const t of errors ?? []) {
    for (const stream of [1, 2]) {
      await pause();
      if (id !== newest) return;
      data(stream);
    }
    const error = keep(`${rows} ${s.loss} ${s.m} error ${t}`, () => core.testError(s, L, data(1), data(2), t));
    await pause();
    if (id !== newest) return;
    postMessage({ id, t, error });
  }
}

onmessage = ({ data }) => {
  newest = data.id;
  answer(data).catch(error => postMessage({ id: data.id, fault: error.message }));
};
