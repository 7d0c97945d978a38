'use strict';

// Where the live page's files are, by the paths under which they are served. CommonJS, so that both builds of lib/ find
// them in the same place. Everybody imports it as '#page'.

const path = require('node:path');

const own = (name) => path.join(__dirname, 'page', name);

module.exports = {
  '/': own('index.html'),
  '/page.css': own('page.css'),
  '/page.js': own('page.js'),
  '/charts.js': own('charts.js'),
  '/heat-map.js': own('heat-map.js'),
  '/format.js': own('format.js'),
  '/icon.svg': own('icon.svg'),
  '/uplot.js': require.resolve('uplot/dist/uPlot.esm.js'),
  '/uplot.css': require.resolve('uplot/dist/uPlot.min.css'),
};
