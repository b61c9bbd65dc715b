/* Pictures by gnuplot, and timelines, of plans. */
#ifndef FA_CLI_PLOT_H
#define FA_CLI_PLOT_H

#include "host/cli/plan_options.h"
#include "host/cli/plan_serve.h"
#include "sim/planner/explore.h"

/* Roofline of the board with the plans on it, and the sweep over the batch. FA_EINVAL for a name that ends neither in .png nor
 * in .svg; FA_EUNSUPPORTED where gnuplot is missing, with the package to install. */
fa_status cli_plot_plan(const char *path, const cli_plan_options *o, const fa_plan *plans, fa_error *e);

/* The points of an exploration and its Pareto front, likewise. */
fa_status cli_plot_front(const char *path, const cli_plan_options *o, const fa_explored *x, fa_error *e);

/* The ops of one layer of a plan's step over time: the first with experts, or the first. */
fa_status cli_plot_timeline(const char *path, const cli_plan_options *o, const fa_plan *plan, fa_error *e);

/* Goodput and waiting over the rates that were served. */
fa_status cli_plot_serve(const char *path, const cli_plan_options *o, const cli_serve_options *serve, fa_error *e);

/* One step of a plan as a Chrome trace-event file. */
fa_status cli_timeline_plan(const char *path, const cli_plan_options *o, const fa_plan *plan, fa_error *e);

#endif
