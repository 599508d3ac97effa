// Who is where: the flying planes in buckets of two plane lengths, built anew each tick by a counting sort.
import { LENGTH } from './rules.js';

const BUCKET = 2 * LENGTH;

export class Grid {
  constructor(rules) {
    this.buckets = rules.side / BUCKET;
    /** Where each bucket begins in `sorted`, row by row; one more for the end. */
    this.starts = new Int32Array(this.buckets * this.buckets + 1);
    this.sorted = [];
  }

  build(planes) {
    const { starts, sorted } = this;
    starts.fill(0);
    let flying = 0;
    for (const plane of planes) {
      if (!plane.isFlying) continue;
      flying += 1;
      starts[this.index(plane.x, plane.y)] += 1;
    }
    let end = 0;
    for (let bucket = 0; bucket < starts.length; bucket += 1) {
      end += starts[bucket];
      starts[bucket] = end;
    }
    sorted.length = flying;
    for (const plane of planes) {
      if (plane.isFlying) sorted[--starts[this.index(plane.x, plane.y)]] = plane;
    }
  }

  /** Calls `visit` with every plane in the buckets that this box touches. */
  near(lowX, lowY, highX, highY, visit) {
    const left = this.bucket(lowX);
    const right = this.bucket(highX);
    const bottom = this.bucket(highY);
    for (let row = this.bucket(lowY); row <= bottom; row += 1) {
      const end = this.starts[row * this.buckets + right + 1];
      for (let at = this.starts[row * this.buckets + left]; at < end; at += 1) visit(this.sorted[at]);
    }
  }

  bucket(coordinate) {
    return Math.min(this.buckets - 1, Math.max(0, Math.floor(coordinate / BUCKET)));
  }

  index(x, y) {
    return this.bucket(y) * this.buckets + this.bucket(x);
  }
}
