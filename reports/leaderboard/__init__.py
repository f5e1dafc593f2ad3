"""The leaderboard: bundles of results, their verification by recomputing, and the board."""
