SELECT token, jobs FROM lease ORDER BY token;
