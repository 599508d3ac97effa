// What travels: the room's state as Colyseus schemas, with the smallest types that hold the values.
import { schema, t } from '@colyseus/schema';

/** Flag bits of a plane. */
export const BOOSTING = 1;
export const SHIELDED = 2;

/** A plane; one that was shot down stays with no health until it flies again. */
export const PlaneState = schema(
  {
    /** 65,536ths of the field's side: with 14 cells 1/580 of a plane's length. */
    x: t.uint16(),
    y: t.uint16(),
    /** 65,536ths of a turn. */
    heading: t.uint16(),
    flags: t.uint8(),
    health: t.uint8(),
  },
  'PlaneState',
);

/** A bullet as it was fired: it flies straight on, so that nothing of it ever changes. */
export const BulletState = schema(
  {
    /** As a plane's. */
    x: t.uint16(),
    y: t.uint16(),
    /** Units per tick. */
    vx: t.int16(),
    vy: t.int16(),
    /** The tick at which it was there, modulo 65,536. */
    tick: t.uint16(),
  },
  'BulletState',
);

/** Both maps are seen through a client's view only. */
export const ArenaState = schema(
  {
    planes: t.map(PlaneState).view(),
    bullets: t.map(BulletState).view(),
  },
  'ArenaState',
);
