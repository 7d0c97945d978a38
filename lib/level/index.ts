export { ThermoclineLevel } from './level.ts';
export type {
  LevelBatchOptions,
  LevelChainedDelOptions,
  LevelChainedPutOptions,
  LevelChainedWriteOptions,
  LevelClearOptions,
  LevelDelOptions,
  LevelIteratorOptions,
  LevelKeyIteratorOptions,
  LevelOpenOptions,
  LevelOptions,
  LevelPutOptions,
  LevelReadAheadOptions,
  LevelStartEndOptions,
  LevelValueIteratorOptions,
  LevelWriteOptions,
} from './options.ts';
