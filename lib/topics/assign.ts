import { nativeTopics } from '../native-topics.ts';

/**
 * Which member of a consumer group reads which partitions: as evenly as possible, and with as few partitions moved as
 * that allows. Consumer groups use the same function; it is pure.
 *
 * @param members names, each once
 * @param partitions numbers, each once
 * @param previous what each member had before; members and partitions that are gone are passed over
 * @returns the partitions of each member, ascending; any two members differ by one partition at most.
 * @example
 * ```ts
 * assign(['a', 'b'], [0, 1, 2, 3], { a: [0, 1, 2, 3] }); // { a: [0, 1], b: [2, 3] }
 * ```
 */
export function assign(
  members: readonly string[],
  partitions: readonly number[],
  previous: Readonly<Record<string, readonly number[]>> = {},
): Record<string, number[]> {
  const before = Object.entries(previous).flatMap(([member, owned]) => [member, [...owned]]);
  const pairs = nativeTopics.assign([...members], [...partitions], before);
  const assignment: Record<string, number[]> = {};
  for (let i = 0; i < pairs.length; i += 2) assignment[pairs[i] as string] = pairs[i + 1] as number[];
  return assignment;
}
