// The slots as a square of 128 by 128, row by row, each as bright as its shard is busy for a slot.

import * as format from './format.js';

const SIDE = 128;
const SLOTS = SIDE * SIDE;

/** From cold to hot: blue, yellow, red. */
const COLOURS = [
  [24, 58, 92],
  [41, 100, 138],
  [243, 167, 18],
  [228, 87, 46],
  [190, 24, 30],
];

function colourOf(heat) {
  const at = heat * (COLOURS.length - 1);
  const low = Math.min(COLOURS.length - 2, Math.floor(at));
  return COLOURS[low].map((channel, i) => Math.round(channel + (COLOURS[low + 1][i] - channel) * (at - low)));
}

export function drawSlots(canvas, legend, shards) {
  const perSlot = shards.map(({ slots, readsPerSecond, writesPerSecond }) => {
    const owned = slots.reduce((sum, [first, last]) => sum + last - first + 1, 0);
    return (readsPerSecond + writesPerSecond) / owned;
  });
  const most = Math.max(...perSlot, 0);
  const context = canvas.getContext('2d');
  const image = context.createImageData(SIDE, SIDE);
  for (const [i, { slots }] of shards.entries()) {
    const [red, green, blue] = colourOf(most === 0 ? 0 : perSlot[i] / most);
    for (const [first, last] of slots) {
      for (let slot = first; slot <= Math.min(last, SLOTS - 1); slot++) {
        image.data.set([red, green, blue, 255], slot * 4);
      }
    }
  }
  context.putImageData(image, 0, 0);
  const hottest = shards[perSlot.indexOf(most)];
  const text =
    most === 0 || hottest === undefined
      ? 'No slot is in use.'
      : `Shard ${hottest.id} is the busiest: ${format.count(hottest.readsPerSecond)} reads/s, ` +
        `${format.count(hottest.writesPerSecond)} writes/s.`;
  legend.textContent = text;
  canvas.setAttribute('aria-label', `Activity of the 16,384 slots in ${shards.length} shards. ${text}`);
}
