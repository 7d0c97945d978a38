/**
 * The random choices of YCSB (Cooper et al., "Benchmarking Cloud Serving Systems with YCSB", SoCC 2010), with the
 * constants and the order of steps of its core package, so that figures can stand beside those of other programs.
 *
 * Numbers of records stay below 2^32 and numbers of items below 2^53, which is what doubles hold exactly; hashes, which
 * have 64 bits, are kept as two halves.
 */

/** Skew of every zipfian choice. */
export const ZIPFIAN_CONSTANT = 0.99;
/** The scrambled choice draws from so many items, whatever there are, and folds them. */
export const SCRAMBLED_ITEMS = 10_000_000_000;
/** zeta(SCRAMBLED_ITEMS, ZIPFIAN_CONSTANT): summing it would take minutes. */
export const SCRAMBLED_ZETA = 26.46902820178302;

/** xoshiro128** by Blackman and Vigna, seeded by splitmix32. */
export class Random {
  #a;
  #b;
  #c;
  #d;

  /** @param {number} seed */
  constructor(seed) {
    let state = seed | 0;
    const split = () => {
      state = (state + 0x9e3779b9) | 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return z ^ (z >>> 15);
    };
    this.#a = split();
    this.#b = split();
    this.#c = split();
    this.#d = split();
  }

  /** @returns {number} 32 random bits */
  bits() {
    const scaled = Math.imul(this.#b, 5);
    const result = Math.imul((scaled << 7) | (scaled >>> 25), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  /** @returns {number} from 0, inclusive, to 1, exclusive, with 53 random bits */
  double() {
    return ((this.bits() >>> 5) * 67108864 + (this.bits() >>> 6)) / 9007199254740992;
  }

  /** @param {number} least @param {number} most @returns {number} a whole number of these or between */
  between(least, most) {
    return least + Math.floor(this.double() * (most - least + 1));
  }
}

/** The last hash's upper and lower half, so that hashing allocates nothing. */
let hashHigh = 0;
let hashLow = 0;

/** 64-bit FNV-1a over the eight bytes of `value`, lowest first, made positive as a signed number. */
function hash64(value) {
  let low = value >>> 0;
  let high = Math.floor(value / 0x100000000) >>> 0;
  let h = 0xcbf29ce4;
  let l = 0x84222325;
  for (let i = 0; i < 8; i++) {
    l = (l ^ (low & 0xff)) >>> 0;
    low = (low >>> 8) | ((high & 0xff) << 24);
    high >>>= 8;
    // The prime is 2^40 + 435.
    const product = l * 435;
    h = (Math.imul(h, 435) + Math.floor(product / 0x100000000) + (l << 8)) >>> 0;
    l = product >>> 0;
  }
  if (h >= 0x80000000) {
    l = -l >>> 0;
    h = (~h + (l === 0 ? 1 : 0)) >>> 0;
  }
  hashHigh = h;
  hashLow = l;
}

/** @param {number} value up to 2^53 @param {number} modulus up to 2^32 @returns {number} hash64(value) mod modulus */
export function hashModulo(value, modulus) {
  hash64(value);
  let rest = hashHigh % modulus;
  rest = (rest * 65536 + (hashLow >>> 16)) % modulus;
  return (rest * 65536 + (hashLow & 0xffff)) % modulus;
}

/** @param {number} number of the record @returns {string} its key: hashed, so that inserts come in no order */
export function keyName(number) {
  hash64(number);
  return `user${(BigInt(hashHigh) << 32n) | BigInt(hashLow)}`;
}

/** @param {number} from @param {number} to @param {number} theta @returns {number} the terms from+1 to `to` of zeta */
export function zeta(from, to, theta = ZIPFIAN_CONSTANT) {
  let sum = 0;
  for (let i = from; i < to; i++) sum += 1 / (i + 1) ** theta;
  return sum;
}

/** Whole numbers in a range, each as likely as any other. */
export class Uniform {
  /** @param {number} least @param {number} most @param {Random} random */
  constructor(least, most, random) {
    this.least = least;
    this.most = most;
    this.random = random;
  }

  next() {
    return this.random.between(this.least, this.most);
  }
}

/**
 * Numbers of which the smallest is the likeliest, the next comes 2^-0.99 times as often, and so on. By the algorithm of
 * Gray et al., "Quickly Generating Billion-Record Synthetic Databases", SIGMOD 1994: exact for the first two numbers, an
 * approximation within a few percent for the others.
 */
export class Zipfian {
  #items;
  #counted;
  #base;
  #random;
  #zeta;
  #eta;
  static #alpha = 1 / (1 - ZIPFIAN_CONSTANT);
  static #zeta2 = zeta(0, 2);
  static #second = 1 + 0.5 ** ZIPFIAN_CONSTANT;

  /** @param {number} least @param {number} most @param {Random} random @param {number} [known] zeta of their count */
  constructor(least, most, random, known) {
    this.#items = most - least + 1;
    this.#counted = this.#items;
    this.#base = least;
    this.#random = random;
    this.#zeta = known ?? zeta(0, this.#items);
    this.#eta = this.#etaNow();
  }

  // Of the items there were at first, also when there are more: as YCSB has it.
  #etaNow() {
    return (1 - (2 / this.#items) ** (1 - ZIPFIAN_CONSTANT)) / (1 - Zipfian.#zeta2 / this.#zeta);
  }

  /** @param {number} [items] how many there are now; never fewer than before */
  next(items = this.#items) {
    if (items > this.#counted) {
      this.#zeta += zeta(this.#counted, items);
      this.#counted = items;
      this.#eta = this.#etaNow();
    }
    const u = this.#random.double();
    const uz = u * this.#zeta;
    if (uz < 1) return this.#base;
    if (uz < Zipfian.#second) return this.#base + 1;
    return this.#base + Math.floor(items * (this.#eta * u - this.#eta + 1) ** Zipfian.#alpha);
  }
}

/** Zipfian popularity, with the popular numbers strewn over the range instead of at its beginning. */
export class ScrambledZipfian {
  /** @param {number} least @param {number} most @param {Random} random */
  constructor(least, most, random) {
    this.least = least;
    this.count = most - least + 1;
    this.zipfian = new Zipfian(0, SCRAMBLED_ITEMS, random, SCRAMBLED_ZETA);
  }

  next() {
    return this.least + hashModulo(this.zipfian.next(), this.count);
  }
}

/** Zipfian by age: the record inserted last is the most popular. */
export class SkewedLatest {
  /** @param {InsertCounter} counter @param {Random} random */
  constructor(counter, random) {
    this.counter = counter;
    this.zipfian = new Zipfian(0, counter.last() - 1, random);
  }

  next() {
    const last = this.counter.last();
    return last - this.zipfian.next(last);
  }
}

/** Numbers of records to insert; `last` is the largest below which all have been acknowledged. */
export class InsertCounter {
  #next;
  #last;
  #early = new Set();

  /** @param {number} start the first number to give */
  constructor(start) {
    this.#next = start;
    this.#last = start - 1;
  }

  next() {
    return this.#next++;
  }

  /** @param {number} number that was given and is now stored */
  acknowledge(number) {
    this.#early.add(number);
    while (this.#early.delete(this.#last + 1)) this.#last++;
  }

  last() {
    return this.#last;
  }
}

/** One of several things, each with its share. */
export class Discrete {
  /** @param {[string, number][]} shares summing to 1 @param {Random} random */
  constructor(shares, random) {
    this.shares = shares.filter(([, share]) => share > 0);
    this.random = random;
  }

  next() {
    let left = this.random.double();
    for (const [what, share] of this.shares) {
      if (left < share) return what;
      left -= share;
    }
    return this.shares[this.shares.length - 1][0];
  }
}
