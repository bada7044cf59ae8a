/**
 * Stands in for `@daily-co/daily-js` in the bundle (an alias in vite.config.ts).
 *
 * The SmallWebRTC transport imports that package for its default media manager, which loads a script from a third
 * party at run time. This page brings its own microphone (`microphone.ts`), so the package would only be weight.
 */
const unavailable = (): never => {
  throw new Error("Daily's media manager is not part of this page");
};

export default { createCallObject: unavailable, getCallInstance: unavailable };
