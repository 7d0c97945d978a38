import { rm } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { inProcess } from '../bench/trials.ts';
import {
  batchStage,
  type Candidate,
  compressionStage,
  defaults,
  jobsStage,
  memoryStage,
  type Stage,
  scaled,
  shardsStage,
} from './candidates.ts';
import { type Goal, medianOf, score, spread } from './score.ts';
import type { Figures, Trial } from './trial.ts';

/** The questions, in the order in which they are asked. */
export const questions = ['compression', 'memory', 'jobs', 'shards', 'batch'] as const;

export type Question = (typeof questions)[number];

/** How a tuning is done. */
export interface TunePlan {
  goal: Goal;
  /** Which questions to ask. */
  only: readonly Question[];
  sample: string;
  /** Folder on the disk that is measured. */
  folder: string;
  /** Bytes for hot cache, block cache and write buffer together. */
  memory: number;
  /** Bytes of the sample for each byte of the data. */
  factor: number;
  /** For each kind of read of a trial. */
  seconds: number;
  /** Trials of the defaults and of what is recommended, at the end, in turn. */
  rounds: number;
  /** What the recommendation must be better by; less, and the defaults are recommended. */
  leastGain: number;
  /** Share of each rate that must remain where the goal is size. */
  leastShare: number;
  signal: AbortSignal;
  onTrial(done: number, total: number, name: string): void;
}

/** One answer of a stage, and what it measured. */
export interface Answer {
  candidate: Candidate;
  figures: Figures;
  /** Against what had been chosen before the stage, tried again within it. */
  score: number;
}

export interface StageResult {
  stage: Stage;
  answers: Answer[];
  chosen: Answer;
  /** The answer that is what had been chosen before. */
  before: Answer;
}

export interface TuneResult {
  stages: StageResult[];
  /** What the stages chose together. */
  candidate: Candidate;
  /** Medians of the last rounds. */
  defaults: Figures;
  candidateFigures: Figures;
  /** Score of the candidate against the defaults, and how far the rounds' scores lie apart, as a share. */
  gain: number;
  noise: number;
  /** Whether the candidate is recommended, and not the defaults. */
  recommended: boolean;
}

/** An answer replaces what was chosen only if it is better by this, in the middle of several tries. */
const MARGIN = 1.03;
/** How often an answer that looks better is tried, in turn with what was chosen before. The middle one counts. */
const TRIES = 3;
/** How many answers are tried so, the best first, until one is better. */
const CONFIRMATIONS = 2;

/** Answers one question after the other, each on top of what the earlier ones chose, and tries the outcome at the end. */
export async function tune(plan: TunePlan): Promise<TuneResult> {
  const makers: Record<Question, (chosen: Candidate) => Stage> = {
    compression: compressionStage,
    memory: (chosen) => memoryStage(chosen, plan.memory),
    jobs: (chosen) => jobsStage(chosen, cpus().length),
    shards: shardsStage,
    batch: batchStage,
  };
  const asked = questions.filter((question) => plan.only.includes(question)).map((question) => makers[question]);
  const trials = (stage: Stage) => 1 + stage.candidates.length + 2 * (TRIES - 1) * CONFIRMATIONS;
  const total = asked.reduce((sum, make) => sum + trials(make(defaults)), 0) + 2 * plan.rounds;
  let done = 0;
  const measure = (candidate: Candidate, writesOnly: boolean, name: string) => {
    plan.onTrial(done++, total, name);
    return runTrial(plan, candidate, writesOnly);
  };

  let chosen = defaults;
  const stages: StageResult[] = [];
  for (const make of asked) {
    const stage = make(chosen);
    const reference = await measure(chosen, stage.writesOnly, `${stage.what}: as before`);
    const answers: Answer[] = [];
    for (const candidate of stage.candidates) {
      const figures = await measure(candidate, stage.writesOnly, `${stage.what}: ${candidate.name}`);
      answers.push({ candidate, figures, score: score(figures, reference, plan.goal, plan.leastShare) });
    }
    const before = { candidate: chosen, figures: reference, score: 1 };
    const ends = done + 2 * (TRIES - 1) * CONFIRMATIONS;
    let winner: Answer = before;
    const promising = [...answers].sort((one, other) => other.score - one.score).slice(0, CONFIRMATIONS);
    for (const best of promising) {
      if (winner !== before || best.score <= MARGIN) break;
      const again = [best.score];
      while (again.length < TRIES) {
        const old = await measure(chosen, stage.writesOnly, `${stage.what}: as before, again`);
        const fresh = await measure(best.candidate, stage.writesOnly, `${stage.what}: ${best.candidate.name}, again`);
        again.push(score(fresh, old, plan.goal, plan.leastShare));
      }
      best.score = again.sort((x, y) => x - y)[again.length >> 1] as number;
      if (best.score > MARGIN) winner = best;
    }
    done = ends;
    stages.push({ stage, answers, chosen: winner, before });
    chosen = winner.candidate;
  }

  const pairs: { defaults: Figures; candidate: Figures }[] = [];
  for (let round = 0; round < plan.rounds; round++) {
    const first = await measure(defaults, false, `defaults, round ${round + 1}`);
    const second = await measure(chosen, false, `chosen, round ${round + 1}`);
    pairs.push({ defaults: first, candidate: second });
  }
  const base = medianOf(pairs.map((pair) => pair.defaults));
  const best = medianOf(pairs.map((pair) => pair.candidate));
  const gain = score(best, base, plan.goal, plan.leastShare);
  const noise = spread(pairs.map((pair) => score(pair.candidate, pair.defaults, plan.goal, plan.leastShare)));
  const recommended = chosen !== defaults && gain >= 1 + plan.leastGain;
  return { stages, candidate: chosen, defaults: base, candidateFigures: best, gain, noise, recommended };
}

async function runTrial(plan: TunePlan, candidate: Candidate, writesOnly: boolean): Promise<Figures> {
  const location = join(plan.folder, 'trial');
  const { sample, seconds } = plan;
  const options = scaled(candidate.options, plan.factor);
  const trial: Trial = { sample, location, options, batch: candidate.batch, seconds, writesOnly };
  try {
    return await inProcess<Figures>('trial', trial, plan.signal, import.meta.url);
  } finally {
    await rm(location, { recursive: true, force: true });
  }
}
