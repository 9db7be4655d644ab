-- Jobs that wait stay waiting: nobody knows any more for what. They can be cancelled.
DROP TABLE dependency;
DROP TABLE waiting_job;
