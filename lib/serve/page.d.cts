/** Paths of files by the paths under which they are served. */
declare const paths: Record<string, string>;
export = paths;
